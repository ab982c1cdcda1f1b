//! Numbers: histograms, records and their codecs, statistics, machine facts.

pub mod machine;
pub mod record;
pub mod stats;
