//! Numbers: histograms, records and their codecs, statistics, machine facts.

pub mod arrivals;
pub mod histogram;
pub mod hlog;
pub mod machine;
pub mod queueing;
pub mod record;
pub mod series;
#[cfg(feature = "lab")]
pub mod stats;
