//! Faults at random times and slow clients, for long runs.

use serde::{Deserialize, Serialize};

use super::FaultKind;

/// The times of the faults are a function of the seed and the round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// Faults to draw from.
    pub faults: Vec<FaultKind>,
    /// On average.
    pub every_s: f64,
    /// Clients that send their requests byte by byte and never finish.
    #[serde(default)]
    pub slow_clients: u32,
}

impl Soak {
    /// Faults that may come at random.
    pub const KINDS: [FaultKind; 4] = [FaultKind::Kill, FaultKind::Exit, FaultKind::Reload, FaultKind::Stop];
}
