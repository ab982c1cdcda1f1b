//! Counting during a run: each thread fills a tally and hands it over at the end of every interval; the collector
//! combines them.

mod collect;
mod cpu;
mod failure;
mod gap_sample;
mod recorder;
mod starts;
mod tally;

pub use collect::{Collector, Snapshot};
pub use cpu::{BUSY_SHARE, CpuMeter, ThreadUse};
pub use failure::Failure;
pub use recorder::{Handoff, Recorder};
pub use starts::together;
pub use tally::{Answer, PHASES, Phase, Tally, Timestamps};
