//! A load of an experiment: the arguments of the load generator.

use serde::{Deserialize, Serialize};

/// Exactly one of `closed`, `open` and `open_of_capacity` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub name: String,
    /// Closed loop: connections at once.
    pub closed: Option<u64>,
    /// Open loop: requests per second.
    pub open: Option<f64>,
    /// Open loop: share of the rate of the baseline in a trial run.
    pub open_of_capacity: Option<f64>,
    /// As for `loadgen --arrivals`.
    pub arrivals: Option<String>,
    #[serde(default)]
    pub keep_alive: bool,
    /// Measured seconds of a run, instead of those of the experiment.
    pub duration_s: Option<f64>,
    /// Measured requests after which the run ends, instead of after `duration_s`.
    pub requests: Option<u64>,
    /// As for `loadgen --think`.
    pub think: Option<String>,
    /// Instead of the default of the load generator.
    pub timeout_s: Option<f64>,
    /// Instead of the path of the handler.
    pub path: Option<String>,
    pub body_bytes: Option<usize>,
    /// The metric that is judged under this load.
    pub primary: Option<String>,
}

impl Load {
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
