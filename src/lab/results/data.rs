//! The raw data of a run on disk: measurements without conclusions.
//!
//! Each schema extends the one before; missing fields read as their defaults. Since schema 3 every column that others are
//! compared with has a second run, and requests that failed or were slow are recorded one by one.

use std::collections::BTreeMap;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::machine::{Facts, Kernel};
use crate::measure::record::RunRecord;

pub const SCHEMA: u32 = 3;
/// The oldest that is read.
pub const OLDEST_SCHEMA: u32 = 2;

/// One run: a line of `runs.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunData {
    pub schema: u32,
    /// From 1; 0 is a trial run, which measures the capacity. Those after the planned ones repeat rounds in which a run is
    /// void.
    pub round: u32,
    /// Position among all runs, or among the trial runs, from 1.
    pub order: u32,
    /// [`crate::lab::spec::plan::Cell::id`]
    pub cell: String,
    /// [`crate::lab::spec::Load::name`]
    pub load: String,
    /// Time of the start, UTC.
    pub started: String,
    /// Why there are no results.
    pub void: Option<Void>,
    pub record: Option<RunRecord>,
    /// Counters over the run, including the warm-up, in the order of the worker numbers.
    pub workers: Vec<Worker>,
    /// Counters over the run, including the warm-up.
    pub kernel: Kernel,
    /// Processes of the server over the run, including the warm-up.
    pub server: Usage,
    /// The memory of the server's processes, handlers among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Start of the measured time.
    pub begin_unix_s: f64,
    /// The interval log of the load generator, relative to the results folder.
    pub hlog: Option<String>,
    pub series: Series,
    pub noise: Noise,
    pub fault: Option<FaultRecord>,
    /// Faults at random times, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRecord>,
    /// Records of the unmeasured load generators, by the names of their loads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, RunRecord>,
    /// Connections that the lab made before the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceRecord>,
    /// Why the run was not made: a server that is not installed, a strategy that this kernel lacks.
    pub skipped: Option<String>,
}

impl RunData {
    /// Whether the load generator was built with debug assertions.
    pub fn is_debug_build(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.profile == "debug")
    }

    pub fn faults(&self) -> impl Iterator<Item = &FaultRecord> {
        self.fault.iter().chain(&self.faults)
    }

    /// All records, the measured one first.
    pub fn records(&self) -> impl Iterator<Item = &RunRecord> {
        self.record.iter().chain(self.beside.values())
    }

    /// Moves the times of the run to the measured time reported by the load generator; before, they are based
    /// on the start of its process. A shift of more than a few seconds is ignored: the wall clock was set.
    pub fn set_begin(&mut self, begin_unix_s: f64) {
        const BELIEVED_S: f64 = 5.0;
        let shift_s = begin_unix_s - self.begin_unix_s;
        if shift_s.abs() > BELIEVED_S {
            return;
        }
        self.begin_unix_s = begin_unix_s;
        self.series.samples.iter_mut().for_each(|sample| sample.at_s -= shift_s);
        for fault in self.fault.iter_mut().chain(&mut self.faults) {
            fault.at_s -= shift_s;
            fault.until_s = fault.until_s.map(|until_s| until_s - shift_s);
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    pub interval_s: f64,
    /// One per interval.
    pub samples: Vec<Sample>,
}

/// Counters since the run began, one entry per worker by its number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Since the measurement began; negative in the warm-up.
    pub at_s: f64,
    pub accepted: Vec<u64>,
    /// Connections open now.
    pub open: Vec<u64>,
    pub busy_ns: Vec<u64>,
    pub wakeups: Vec<u64>,
    /// Wake-ups that found no connection.
    pub empty_wakeups: Vec<u64>,
    /// Current length of the accept queue of each listening socket.
    pub queue: Vec<u32>,
    /// Connections refused by a full queue, on the whole machine.
    pub overflows: u64,
    /// Connections dropped by listening sockets for any reason, on the whole machine.
    pub drops: u64,
    /// In long runs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
}

/// Resources of the server, including handlers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tree {
    /// PSS: shared memory counts proportionally.
    pub pss_kib: u64,
    pub descriptors: u64,
    pub processes: u64,
}

/// Memory of a server in KiB (PSS); 0 where the lab may not read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Before the load.
    pub rest_kib: u64,
    /// After the load.
    pub loaded_kib: u64,
}

/// Disturbances of the machine during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// Median delay of a sleeping thread.
    pub hiccup_p50_us: f64,
    pub hiccup_p99_us: f64,
    pub hiccup_max_us: f64,
    /// Share of the processors that the hypervisor took.
    pub steal: f64,
    /// Share of the run in which work waited for a processor (PSI).
    pub pressure_some: Option<f64>,
}

/// Connections made one after the other on the idle server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequenceRecord {
    /// The accepting worker of each, from `Caffeine-Worker`.
    pub workers: Vec<String>,
    /// Response times of a second request on each kept connection, all sent at once.
    pub burst_us: Vec<f64>,
    /// Why connections are missing; otherwise empty.
    pub failed: String,
}

/// A fault as it happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultRecord {
    pub kind: String,
    /// Since the measurement began.
    pub at_s: f64,
    /// The end; absent for instantaneous faults.
    pub until_s: Option<f64>,
    pub worker: u64,
    /// Of the worker, or of the server if all workers are affected.
    pub pid: u64,
    pub note: String,
    /// Connections that a killed or stopped worker held: they end with it, or wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// The ports of the clients of those whose request it had read. Since schema 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answering: Vec<u16>,
    /// The same of those that it had accepted and not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untouched: Vec<u16>,
}

/// A run without results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Void {
    pub reason: String,
    /// The last lines of stderr of the program.
    pub stderr: String,
    /// The exit code of the program, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

impl fmt::Display for Void {
    /// The reason, then the lines of stderr, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.stderr.lines().try_for_each(|line| write!(f, "\n    | {line}"))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    pub worker: u64,
    pub accepted: u64,
    pub wakeups: u64,
    pub empty_wakeups: u64,
    pub launched: u64,
    pub launch_failures: u64,
    pub busy_ns: u64,
}

/// Resources used by processes, without handlers: the kernel reaps them without a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// On a processor.
    pub cpu_s: f64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
}

impl Usage {
    pub fn switches(self) -> u64 {
        self.voluntary_switches + self.involuntary_switches
    }
}

/// Common to all runs: `machine.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    pub schema: u32,
    pub experiment: String,
    /// The host name, or `--label`.
    pub label: String,
    /// UTC.
    pub started: String,
    pub handler: Option<String>,
    pub machine: Facts,
    /// Version and a hash of the file.
    pub programs: BTreeMap<String, String>,
    /// Version, or that it is not installed.
    pub peers: BTreeMap<String, String>,
    /// The commands of server and load generator for each `CELL / LOAD`.
    pub commands: BTreeMap<String, Vec<String>>,
    /// The processors of server and load generator.
    #[serde(default)]
    pub cpus: String,
    /// A hash of the experiment's file.
    #[serde(default)]
    pub spec: String,
    /// By purpose.
    pub seeds: BTreeMap<String, u64>,
    /// Of machine, programs and settings: equal if results may be combined.
    pub fingerprint: String,
    /// Times of `lab run --resume`, UTC.
    pub resumed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_run_move_to_the_beginning_that_the_load_generator_tells() {
        let fault = FaultRecord { at_s: 1.0, until_s: Some(2.0), ..FaultRecord::default() };
        let series = Series { interval_s: 0.5, samples: vec![Sample { at_s: -0.5, ..Sample::default() }] };
        let mut run = RunData { begin_unix_s: 100.0, fault: Some(fault), series, ..RunData::default() };
        run.set_begin(100.25);
        let fault = run.fault.clone().unwrap();
        assert_eq!((fault.at_s, fault.until_s, run.series.samples[0].at_s), (0.75, Some(1.75), -0.75));
        run.set_begin(200.0);
        assert_eq!(run.begin_unix_s, 100.25, "a clock that was set is not believed");
    }
}
