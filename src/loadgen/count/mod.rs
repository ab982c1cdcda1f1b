//! Counting during a run: each thread fills a tally and hands it over at the end of every interval; the collector
//! combines them.

pub mod collect;
pub mod cpu;
pub mod failure;
pub mod gap_sample;
pub mod recorder;
pub mod starts;
pub mod tally;
