//! What one load-generator run found, as written by `loadgen --json` and read by `lab`.
//!
//! Durations that end in `_us` are microseconds, in `_s` seconds. Histograms count nanoseconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this schema: 1.
    pub schema: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// `release`, or `debug` when built with debug assertions.
    pub profile: String,
    /// What was asked for.
    pub plan: Plan,
    /// Seconds that were measured (warm-up excluded).
    pub duration_s: f64,
    /// Requests whose intended start lies in the measured time and that were sent. What follows counts these, also
    /// where they ended later.
    pub started: u64,
    /// Requests completed with a whole response, of any status.
    pub completed: u64,
    /// Completed per second of `duration_s`.
    pub rate: f64,
    /// Arrivals (open loop) that had to wait for one of `plan.connections`.
    #[serde(default)]
    pub held: u64,
    /// Arrivals (open loop) that were due and could not be sent before the run ended.
    #[serde(default)]
    pub unsent: u64,
    /// Requests still on their way when the run was interrupted.
    #[serde(default)]
    pub unfinished: u64,
    /// Whether the run was interrupted before its end.
    #[serde(default)]
    pub interrupted: bool,
    /// Bytes received in complete responses, heads included.
    pub bytes: u64,
    /// Failures by kind (`connect-refused`, `reset-before-response`, `short-body`, ...).
    pub errors: BTreeMap<String, u64>,
    /// One example text for each kind in `errors`.
    pub examples: BTreeMap<String, String>,
    /// Complete responses by status code.
    pub statuses: BTreeMap<String, u64>,
    /// Complete responses by the worker that the server named in `Caffeine-Worker`.
    pub workers: BTreeMap<String, u64>,
    /// Summary per phase: `response` (from the intended start), `service` (from the actual start), `connect`, `first_byte`, `send_lag`.
    pub latency: BTreeMap<String, Summary>,
    /// The same phases as HdrHistogram V2 + DEFLATE in base64, values in ns.
    pub histograms: BTreeMap<String, String>,
    /// The generator itself.
    pub generator: Generator,
    /// `OK`, `CLIENT-BOUND` (closed loop, generator thread above 90 % of a core) or `INVALID`.
    pub verdict: String,
    /// Why the verdict is not `OK`.
    pub reasons: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The target.
    pub url: String,
    /// `closed` or `open`.
    pub model: String,
    /// Connections at once (closed loop), or the upper bound of an open one.
    pub connections: u64,
    /// Offered requests per second (open loop).
    pub rate: Option<f64>,
    /// `const` or `poisson` (open loop).
    pub arrivals: Option<String>,
    /// Seed of the schedule.
    pub seed: u64,
    /// Seconds asked for, warm-up excluded; 0 when the number of requests ends the run.
    pub duration_s: f64,
    /// Requests after which the run ends.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Seconds before the measured time.
    pub warmup_s: f64,
}

/// Percentiles of one phase in microseconds, from its histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Summary {
    pub count: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub stdev_us: f64,
    pub p50_us: f64,
    pub p75_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub p9999_us: f64,
    pub max_us: f64,
}

/// The generator's own use of the machine in the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Threads that send.
    pub threads: u64,
    /// CPU seconds of the process, user and system.
    pub cpu_s: f64,
    /// Largest share of a core that one thread used, 0 to 1.
    pub busiest_thread: f64,
}
