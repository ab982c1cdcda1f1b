//! The rules by which a run is judged OK, NOISY or INVALID: fixed before the first run, kept with the data.

use serde::{Deserialize, Serialize};

/// Limits of a run. Shares are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// NOISY: the hypervisor took more than this share of the processors.
    pub noisy_steal: f64,
    /// NOISY: a thread that only sleeps woke up later than this, in us, in one of a hundred times. It shares the
    /// processors with what is measured, so a load that uses them whole needs a generous limit.
    pub noisy_hiccup_p99_us: f64,
    /// NOISY: work waited for a processor for more than this share of the run (PSI). 1 switches it off: under full
    /// load that is what one wants.
    pub noisy_pressure: f64,
    /// INVALID: more than this share of the requests failed.
    pub invalid_errors: f64,
    /// INVALID: more than this share of the answers was not 2xx: something else was measured.
    pub invalid_status: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            noisy_steal: 0.01,
            noisy_hiccup_p99_us: 50_000.0,
            noisy_pressure: 1.0,
            invalid_errors: 0.05,
            invalid_status: 0.01,
        }
    }
}

impl Rules {
    /// Each rule's name and value, and whether it is a share.
    pub fn each(&self) -> [(&'static str, f64, bool); 5] {
        [
            ("noisy_steal", self.noisy_steal, true),
            ("noisy_hiccup_p99_us", self.noisy_hiccup_p99_us, false),
            ("noisy_pressure", self.noisy_pressure, true),
            ("invalid_errors", self.invalid_errors, true),
            ("invalid_status", self.invalid_status, true),
        ]
    }
}
