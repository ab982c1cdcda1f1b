//! Numbers: histograms, records and their codecs, statistics, machine facts.

pub mod histogram;
pub mod machine;
pub mod queueing;
pub mod record;
pub mod series;
pub mod stats;
