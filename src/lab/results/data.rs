//! The raw data of one run as it is kept on disk: everything that was read, nothing that was concluded.
//!
//! Schema 2 adds to schema 1; what an older file lacks reads as its default.

use std::collections::BTreeMap;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::measure::machine::{Facts, Kernel};
use crate::measure::record::RunRecord;

/// Version of [`RunData`] and [`Environment`].
pub const SCHEMA: u32 = 2;

/// One run: a line of `runs.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Round, from 1; 0 is the trial run that finds the capacity.
    pub round: u32,
    /// Position among all runs, from 1.
    pub order: u32,
    /// [`crate::lab::spec::plan::Cell::id`].
    pub cell: String,
    /// [`crate::lab::spec::Load::name`].
    pub load: String,
    /// When the run began, UTC.
    pub started: String,
    /// Why it has no figures.
    pub void: Option<Void>,
    /// What the load generator found.
    pub record: Option<RunRecord>,
    /// The workers' counters over the run, warm-up included, in the order of their numbers.
    pub workers: Vec<Worker>,
    /// The kernel's counters over the run, warm-up included.
    pub kernel: Kernel,
    /// The server's processes over the run, warm-up included.
    pub server: Usage,
    /// When the measured time began, in seconds since 1970.
    #[serde(default)]
    pub begin_unix_s: f64,
    /// The load generator's interval log, relative to the results folder.
    #[serde(default)]
    pub hlog: Option<String>,
    #[serde(default)]
    pub series: Series,
    /// What disturbed the machine.
    #[serde(default)]
    pub noise: Noise,
    /// The fault that struck the server.
    #[serde(default)]
    pub fault: Option<FaultRecord>,
    /// The faults that struck it at random times, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRecord>,
    /// What the load generators found that ran beside the measured one, by their loads' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, RunRecord>,
    /// What came of the connections that the lab made itself before the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceRecord>,
    /// Why the run was not made: a server that is not installed, a strategy that this kernel lacks.
    #[serde(default)]
    pub skipped: Option<String>,
}

impl RunData {
    /// Whether the load generator was built with debug assertions.
    pub fn is_debug_build(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.profile == "debug")
    }

    /// All faults that struck the server.
    pub fn faults(&self) -> impl Iterator<Item = &FaultRecord> {
        self.fault.iter().chain(&self.faults)
    }

    /// What all load generators found, the measured one first.
    pub fn records(&self) -> impl Iterator<Item = &RunRecord> {
        self.record.iter().chain(self.beside.values())
    }

    /// Moves the times of the run to what the load generator says of its measured time; before, they stand on when its
    /// process was started. A moment that is more than a few seconds off is not believed: the wall clock was set.
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

/// Counters over the time of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Length of an interval in seconds.
    pub interval_s: f64,
    /// One per interval, in order.
    pub samples: Vec<Sample>,
}

/// Counters at one moment: cumulative since the run began, one figure per worker by its number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the measured time began; negative in the warm-up.
    pub at_s: f64,
    pub accepted: Vec<u64>,
    /// Connections open at this moment.
    pub open: Vec<u64>,
    pub busy_ns: Vec<u64>,
    pub wakeups: Vec<u64>,
    /// Wake-ups that found nothing to accept.
    pub empty_wakeups: Vec<u64>,
    /// Length of each listening socket's accept queue at this moment.
    pub queue: Vec<u32>,
    /// Connections refused by a full queue, on the whole machine.
    pub overflows: u64,
    /// Connections dropped by listening sockets for any reason, on the whole machine.
    pub drops: u64,
    /// What the server's processes have at this moment; in long runs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
}

/// What a server's processes have together, handlers among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Memory in KiB, what is shared in parts (PSS).
    pub pss_kib: u64,
    pub descriptors: u64,
    pub processes: u64,
}

/// What disturbed the machine during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// How much too late a thread woke up that only sleeps, in us: median.
    pub hiccup_p50_us: f64,
    /// The same: 99th percentile.
    pub hiccup_p99_us: f64,
    pub hiccup_max_us: f64,
    /// Share of the processors that the hypervisor gave to others.
    pub steal: f64,
    /// Share of the run during which some work waited for a processor (PSI).
    pub pressure_some: Option<f64>,
}

/// Connections that the lab made one after the other on the idle server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SequenceRecord {
    /// Who accepted each, in their order, as `Caffeine-Worker` names it.
    pub workers: Vec<String>,
    /// For connections that were kept: response times in us of a second request on each, all sent at once.
    #[serde(default)]
    pub burst_us: Vec<f64>,
    /// Why there are no more of them; else empty.
    #[serde(default)]
    pub failed: String,
}

/// A fault as it really came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// As the experiment names it: `kill`, `exit`, `reload` and so on.
    pub kind: String,
    /// Seconds since the measured time began.
    pub at_s: f64,
    /// When it was over; absent for what happens once.
    pub until_s: Option<f64>,
    /// Number of the worker.
    pub worker: u64,
    /// Its process id; of what strikes all, the server's.
    pub pid: u64,
    /// Anything else worth knowing.
    pub note: String,
    /// Connections that a killed or stopped worker had in its hands: they end with it, or wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
}

/// A run that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    pub reason: String,
    /// The last lines that the program concerned wrote to stderr.
    pub stderr: String,
    /// The exit code of that program, if it ended by itself.
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

/// The counters of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub worker: u64,
    pub accepted: u64,
    pub wakeups: u64,
    pub empty_wakeups: u64,
    pub launched: u64,
    pub launch_failures: u64,
    pub busy_ns: u64,
}

/// What processes used. Handlers are not in it: the kernel reaps them without a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds on a processor.
    pub cpu_s: f64,
    /// Context switches because the process waited.
    pub voluntary_switches: u64,
    /// Context switches because others had their turn.
    pub involuntary_switches: u64,
}

/// What all runs have in common: `machine.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// The host's name, or what `--label` said.
    pub label: String,
    /// When the experiment began, UTC.
    pub started: String,
    pub handler: Option<String>,
    /// The machine and the programs.
    pub machine: Facts,
    /// The measured programs: version, and a hash of the file.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
    /// Other servers: version, or that they are not installed.
    #[serde(default)]
    pub peers: BTreeMap<String, String>,
    /// The commands of one run of each cell and load, by `CELL / LOAD`: the server's, then the load generator's.
    #[serde(default)]
    pub commands: BTreeMap<String, Vec<String>>,
    /// Seeds by what they are for.
    #[serde(default)]
    pub seeds: BTreeMap<String, u64>,
    /// Hash over machine, programs and settings: equal where results may be put together.
    #[serde(default)]
    pub fingerprint: String,
    /// When `lab run --resume` went on with it, UTC.
    #[serde(default)]
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
