//! The rules that judge a run OK, NOISY or INVALID: fixed before the first run, kept with the data.

use serde::{Deserialize, Serialize};

/// Shares are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// NOISY: the hypervisor took more than this share of the processors.
    pub noisy_steal: f64,
    /// NOISY: p99 of the delay of a sleeping thread, in us. The thread shares the processors with the
    /// measured programs, so a load that uses them completely needs a generous limit.
    pub noisy_hiccup_p99_us: f64,
    /// NOISY: the same delay in an open loop, as a share of the p99 of the response times of the run. A delay of 5 ms says
    /// nothing about responses that take 50 ms, and much about those that take 2 ms. A closed loop keeps the processors busy
    /// itself.
    pub noisy_hiccup_share: f64,
    /// NOISY: work waited for a processor for more than this share of the run (PSI). 1 disables the rule, as
    /// needed under full load.
    pub noisy_pressure: f64,
    /// INVALID: more than this share of the requests failed.
    pub invalid_errors: f64,
    /// INVALID: more than this share of the responses was not 2xx.
    pub invalid_status: f64,
    /// A response is late after more than this. It does not decide on the run.
    pub late_ms: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            noisy_steal: 0.01,
            noisy_hiccup_p99_us: 50_000.0,
            noisy_hiccup_share: 0.5,
            noisy_pressure: 1.0,
            invalid_errors: 0.05,
            invalid_status: 0.01,
            late_ms: 200.0,
        }
    }
}

impl Rules {
    /// Name, value, and whether it is a share.
    pub fn each(&self) -> [(&'static str, f64, bool); 7] {
        [
            ("noisy_steal", self.noisy_steal, true),
            ("noisy_hiccup_p99_us", self.noisy_hiccup_p99_us, false),
            ("noisy_hiccup_share", self.noisy_hiccup_share, true),
            ("noisy_pressure", self.noisy_pressure, true),
            ("invalid_errors", self.invalid_errors, true),
            ("invalid_status", self.invalid_status, true),
            ("late_ms", self.late_ms, false),
        ]
    }
}
