//! Connections that the lab makes itself, before the load: one after the other on an idle server, to see who gets which.

use serde::{Deserialize, Serialize};

/// The table `[sequence]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// How many, each with one request; the next is made when the last one is answered.
    pub connections: u32,
    /// Whether they are kept open, until each has sent a second request, all at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
}
