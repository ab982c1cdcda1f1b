//! What befalls a server for long: faults at random times, and clients that are slow.

use serde::{Deserialize, Serialize};

use super::FaultKind;

/// Faults at random times, a function of the seed and the round, and what makes the traffic mixed beside the loads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// The faults that are drawn from: those that a server should survive again and again.
    pub faults: Vec<FaultKind>,
    /// Seconds from one to the next on average.
    pub every_s: f64,
    /// Clients that send their requests byte by byte and never come to the end.
    #[serde(default)]
    pub slow_clients: u32,
}

impl Soak {
    /// What there can be.
    pub const KINDS: [FaultKind; 4] = [FaultKind::Kill, FaultKind::Exit, FaultKind::Reload, FaultKind::Stop];
}
