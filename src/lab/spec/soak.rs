//! Faults at random times and slow clients, for long runs.

use serde::{Deserialize, Serialize};

use super::FaultKind;

/// The times of the faults are a function of the seed and the round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    pub faults: Vec<FaultKind>,
    /// On average.
    pub every_s: f64,
    /// Clients that send their requests byte by byte and never finish.
    #[serde(default)]
    pub slow_clients: u32,
    #[serde(default)]
    pub limits: Limits,
}

/// Most growth of a server per day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub memory_mib_per_day: f64,
    pub descriptors_per_day: f64,
    pub p50_ms_per_day: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_mib_per_day: 48.0, descriptors_per_day: 240.0, p50_ms_per_day: 5.0 }
    }
}

impl Soak {
    /// The share of the measured time, from its begin, in which faults may replace workers. After it no worker is replaced, so
    /// that a leak in one shows.
    pub const REPLACING: f64 = 0.5;

    /// Faults that may come at random.
    pub const KINDS: [FaultKind; 4] = [FaultKind::Kill, FaultKind::Exit, FaultKind::Reload, FaultKind::Stop];
}
