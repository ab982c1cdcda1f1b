//! Numbers: histograms, records and their codecs, statistics, machine facts.

pub mod histogram;
pub mod record;
