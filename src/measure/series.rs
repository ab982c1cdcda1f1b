//! The course of a run: one summary per interval. It knows numbers and names, not where they come from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::Summary;

/// What happened in one interval of a run, all threads together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalSummary {
    /// Its begin, in seconds since the first request was due.
    pub begin_s: f64,
    /// Its end, likewise.
    pub end_s: f64,
    /// Whether these are the requests of the warm-up. Such ones that end in the measured time have a row of their own
    /// there.
    pub warmup: bool,
    /// Arrivals planned (open loop).
    pub offered: Option<u64>,
    /// Requests sent.
    pub started: u64,
    /// Requests completed with a whole response, of any status.
    pub completed: u64,
    /// Requests failed, of all kinds.
    pub failed: u64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// Completed per second.
    pub rate: f64,
    /// Response times of those completed.
    pub response: Summary,
    /// Service times of those completed.
    pub service: Summary,
    /// Connections open at its end.
    pub open: u64,
}
