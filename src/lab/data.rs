//! The raw data of one run as it is kept on disk: everything that was read, nothing that was concluded.

use serde::{Deserialize, Serialize};

use crate::measure::machine::{Facts, Kernel};
use crate::measure::record::RunRecord;

/// Version of [`RunData`] and [`Environment`].
pub const SCHEMA: u32 = 1;

/// One run: a line of `runs.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Round, from 1; 0 is the trial run that finds the capacity.
    pub round: u32,
    /// Position among all runs, from 1.
    pub order: u32,
    /// [`super::plan::Cell::id`].
    pub cell: String,
    /// [`super::spec::Load::name`].
    pub load: String,
    /// When the run began, UTC.
    pub started: String,
    /// Why there are no figures.
    pub void: Option<Void>,
    /// What the load generator found.
    pub record: Option<RunRecord>,
    /// The workers' counters over the run, warm-up included, in the order of their numbers.
    pub workers: Vec<Worker>,
    /// The kernel's counters over the run, warm-up included.
    pub kernel: Kernel,
    /// The server's processes over the run, warm-up included.
    pub server: Usage,
}

/// A run that came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// What happened.
    pub reason: String,
    /// The last lines that the program concerned wrote to stderr.
    pub stderr: String,
}

/// The counters of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // see `scoreboard::Row`
pub struct Worker {
    pub worker: u64,
    pub accepted: u64,
    pub wakeups: u64,
    pub empty_wakeups: u64,
    pub launched: u64,
    pub launch_failures: u64,
    pub busy_ns: u64,
}

/// What processes used. Handlers are not in it: the kernel reaps them, so nobody is told.
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
    /// What was served.
    pub handler: Option<String>,
    /// The machine and the programs.
    pub machine: Facts,
}
