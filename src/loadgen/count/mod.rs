//! What is counted while a run goes on: per thread in a tally, handed over interval by interval, and brought together.

pub mod collect;
pub mod cpu;
pub mod failure;
pub mod gap_sample;
pub mod recorder;
pub mod tally;
