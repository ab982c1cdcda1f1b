//! Connections that the lab makes before the load, one after the other on an idle server, to see which worker
//! gets which.

use serde::{Deserialize, Serialize};

/// The table `[sequence]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Each has one request; the next follows after the response.
    pub connections: u32,
    /// Whether they stay open until each has sent a second request, all at once.
    #[serde(default)]
    pub hold: bool,
}
