//! Numbers: histograms, records and their codecs, statistics, machine facts.

pub mod record;
