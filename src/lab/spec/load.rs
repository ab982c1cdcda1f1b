//! A load of an experiment: what the load generator is asked for.

use serde::{Deserialize, Serialize};

/// One load. Exactly one of `closed`, `open` and `open_of_capacity` is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Name in the report.
    pub name: String,
    /// Closed loop: this many connections at once.
    pub closed: Option<u64>,
    /// Open loop: this many requests per second.
    pub open: Option<f64>,
    /// Open loop: this share of the rate that the baseline reached in a trial run beforehand.
    pub open_of_capacity: Option<f64>,
    /// How the starts of an open loop follow each other, as for `loadgen --arrivals`.
    pub arrivals: Option<String>,
    /// Whether connections are kept for several requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_alive: bool,
    /// Measured requests after which the run ends, instead of the experiment's duration.
    pub requests: Option<u64>,
    /// Closed loop: pause of a client between two requests, as for `loadgen --think`.
    pub think: Option<String>,
    /// Seconds after which a request has failed, instead of the load generator's default.
    pub timeout_s: Option<f64>,
    /// Path to request, instead of the handler's.
    pub path: Option<String>,
    /// Bytes of a body that every request has; without, there is none.
    pub body_bytes: Option<usize>,
}

impl Load {
    /// The load in words.
    pub fn describe(&self) -> String {
        let mut text = match (self.closed, self.open, self.open_of_capacity) {
            (Some(1), ..) => "one connection at a time".into(),
            (Some(n), ..) => format!("{n} connections at once"),
            (_, Some(rate), _) => format!("{rate} requests/s"),
            (_, _, Some(share)) => format!("{} % of capacity", share * 100.0),
            _ => "no load".into(),
        };
        if let Some(arrivals) = &self.arrivals {
            text += &format!(", {arrivals} arrivals");
        }
        if let Some(requests) = self.requests {
            text += &format!(", {requests} requests");
        }
        if self.keep_alive {
            text += ", kept alive";
        }
        text
    }
}
