//! The processors of server and load generator.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cpus {
    /// Both use all processors.
    #[default]
    Shared,
    /// The load generator has the last processor, the server all others.
    Apart,
    /// Both use all processors, and the load generator preempts the server (`SCHED_FIFO`, where the system permits
    /// it): arrivals are on time however many workers compute, as from another machine.
    Preempt,
}
