//! What one load-generator run found, as written by `loadgen --json` and read by `lab`.
//!
//! This is the schema of `--json`: the names in the file are those of the fields here, nested in the same way.
//! Durations that end in `_us` are microseconds, in `_s` seconds; rates are per second. Histograms count nanoseconds.
//! Fields marked *since 3* are missing in records of schema 2, which are read as if they had nothing to say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::histogram::Summary;
use super::series::{Incident, IntervalSummary, StartSummary};

/// Version of the schema that is written.
pub const SCHEMA: u32 = 3;
/// The oldest that is read.
pub const OLDEST_SCHEMA: u32 = 2;

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Version of this schema: [`SCHEMA`].
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
    /// Responses per second that came within the measured time, those to requests of the warm-up among them; those that
    /// came after its end are left out (open loops that a number of requests ends: until the last one came).
    pub rate: f64,
    /// Open loop: arrivals that were due in the measured time, per second of `duration_s`.
    pub offered_rate: Option<f64>,
    /// Requests sent per second of `duration_s`.
    pub sent_rate: f64,
    /// Arrivals (open loop) that had to wait for one of `plan.connections`.
    pub held: u64,
    /// Arrivals (open loop) that were due and could not be sent before the run ended.
    pub unsent: u64,
    /// Requests still on their way when the run was interrupted.
    pub unfinished: u64,
    /// What became of connections.
    pub connections: Connections,
    /// Whether the run, or the search that it is the answer of, was interrupted before its end.
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
    /// The course of the run; empty in a record that was merged of several.
    pub intervals: Vec<IntervalSummary>,
    /// Requests by the interval of their intended start: how long those waited that came while a server was stuck. Of the
    /// first 1,024 intervals; empty in a merged record. Since 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_start: Vec<StartSummary>,
    /// Requests that failed, or took longer than `plan.slow_s`, in the order of their ends, warm-up included; at most 50,000
    /// of a thread. Empty in a merged record. Since 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
    /// How many more there were. Since 3.
    #[serde(default)]
    pub incidents_left_out: u64,
    /// Whether random arrivals were what they were planned to be.
    pub arrivals_test: Option<ArrivalsTest>,
    /// The wall clock.
    pub clock: Clock,
    /// The records that this one was merged of, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The generator itself.
    pub generator: Generator,
    /// `OK`, `CLIENT-BOUND` (closed loop, generator thread above 90 % of a core), `ERRORS` (most responses are 4xx or
    /// 5xx), `FAILED` (no request completed) or `INVALID`.
    pub verdict: String,
    /// Why the verdict is not `OK`.
    pub reasons: Vec<String>,
    /// What was expected of the run, and what it showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expectation>,
    /// The search whose answer this run is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// One expectation of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// As it was asked for, such as `p99<5ms`.
    pub text: String,
    /// What the run showed, in the unit that `text` uses; absent where there was nothing to tell it by.
    pub value: Option<f64>,
    /// Whether it was met. Without a value, or with too few requests, it was not.
    pub holds: bool,
    /// Why it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A search for the highest rate that holds an objective.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Search {
    /// What was to hold, such as `p99<5ms`.
    pub objectives: Vec<String>,
    /// `found`, `above` (holds as far as it was tried), `none` (broken even at the lowest rate) or `generator` (the
    /// generator reached its limit before the objective broke).
    pub outcome: String,
    /// The answer: the highest rate, in requests per second, at which every probe held the objective.
    pub rate: Option<f64>,
    /// The lower end of the interval for the answer: the highest rate that held in repeated probes.
    pub lower: Option<f64>,
    /// The upper end: the lowest rate that did not hold in repeated probes.
    pub upper: Option<f64>,
    /// Whether both ends rest on as many probes as they should; if not, the time was over.
    pub confirmed: bool,
    /// Whether there is more than one place where it could be: most probes of a rate broke though a higher one holds,
    /// or held though a lower one does not.
    pub non_monotone: bool,
    /// Every probe, in the order of time.
    pub probes: Vec<Probe>,
}

/// One probe of a search: an open-loop run of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Requests per second, planned and completed.
    pub offered: f64,
    pub achieved: f64,
    /// Response time in us.
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// Completed and failed requests.
    pub completed: u64,
    pub failed: u64,
    /// `holds`, `broken` or `generator-limit`.
    pub verdict: String,
    /// Why it does not hold.
    pub reasons: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The target; the first of `urls`.
    pub url: String,
    /// The number of URLs that requests took in turn, if they came from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<u64>,
    /// The Unix socket that connections went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix_socket: Option<String>,
    /// `closed` or `open`.
    pub model: String,
    /// Connections at once (closed loop), or the upper bound of an open one.
    pub connections: u64,
    /// Requests per second that this process offers, on average over the measured time (open loop).
    pub rate: Option<f64>,
    /// The rate of all processes together, as it was typed (open loop, unless replayed).
    pub profile: Option<String>,
    /// `const`, `poisson`, `burst:N` or `replay` (open loop).
    pub arrivals: Option<String>,
    /// Whether threads stayed awake between starts (open loop).
    pub spin: bool,
    /// Which process of how many this is, from 1: `1/1`.
    pub shard: String,
    /// Seed of random arrivals, pauses and times to take.
    pub seed: u64,
    /// Seconds asked for, warm-up excluded; 0 when the number of requests ends the run.
    pub duration_s: f64,
    /// Requests after which the run ends.
    pub requests: Option<u64>,
    /// Seconds before the measured time.
    pub warmup_s: f64,
    /// Length of the intervals in seconds.
    pub interval_s: f64,
    /// Requests that fail or take longer are recorded one by one; absent: none is. Since 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_s: Option<f64>,
    /// Whether connections are kept for as long as the server does.
    pub keep_alive: bool,
    /// Requests on one connection at most; absent without `keep_alive`: one.
    pub requests_per_connection: Option<u64>,
    /// Whether `loadgen` closes a connection first, so that TIME_WAIT lies on its side.
    pub client_closes: bool,
    /// Pause between a response and the next request of the same client, as a distribution (closed loop).
    pub think: Option<String>,
    /// Times that requests ask the server to take, as a distribution. Absent in records without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupy: Option<String>,
    /// How many local addresses connections come from; 0: the kernel chooses.
    pub sources: u64,
}

/// What became of connections, of the requests that are counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Connections that stood.
    pub opened: u64,
    /// Requests that found their connection open already.
    pub reused: u64,
    /// Connections that replaced one which the server had closed between requests.
    pub reconnects: u64,
    /// Of those opened, how many had to send their SYN 0, 1, 2, and 3 or more times again. The first retransmission
    /// comes about 1 s after the SYN: such a connection waited for the network or the accept queue, not for a response.
    pub syn_retransmits: [u64; 4],
}

impl Connections {
    /// Counts a connection that took this many retransmissions of its SYN to open.
    pub fn open(&mut self, retransmits: u32) {
        self.opened += 1;
        self.syn_retransmits[(retransmits as usize).min(3)] += 1;
    }

    /// Adds the counts of another thread or record; a record may hold any number.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.opened, other.opened),
            (&mut self.reused, other.reused),
            (&mut self.reconnects, other.reconnects),
        ];
        let steps = self.syn_retransmits.iter_mut().zip(other.syn_retransmits);
        pairs.into_iter().chain(steps).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }
}

/// The generator's own use of the machine in the measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Threads that send.
    pub threads: u64,
    /// CPU seconds of the process, user and system.
    pub cpu_s: f64,
    /// Largest share of a core that one thread used, 0 to 1.
    pub busiest_thread: f64,
}

/// The Anderson-Darling test of the actual times of sending against the plan, for Poisson arrivals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalsTest {
    /// The statistic A^2.
    pub statistic: f64,
    /// What it may be: twice the critical value of 5 %.
    pub limit: f64,
    /// Spans between sends in the sample.
    pub sample: u64,
    /// Arrivals that one span is long: 1 up to 1000 requests per second and thread.
    pub arrivals_per_span: u32,
}

/// When the run was, and how far its wall clock can be trusted. No duration is taken from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// When the first request was due, in seconds since 1970.
    pub start_unix_s: f64,
    /// Whether the kernel says that something keeps the clock right; `None` when it does not tell.
    pub synchronised: Option<bool>,
    /// What is still to be corrected.
    pub offset_us: Option<i64>,
    /// Estimated error.
    pub estimated_error_us: Option<i64>,
    /// Bound of the error.
    pub max_error_us: Option<i64>,
}

/// One of the records that were merged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The file.
    pub file: String,
    /// Its part of the plan.
    pub shard: String,
    /// When it began, in seconds since 1970.
    pub start_unix_s: f64,
    /// Seconds that it measured.
    pub duration_s: f64,
    /// Requests that it completed, and per second of its own duration.
    pub completed: u64,
    /// See `completed`.
    pub rate: f64,
    /// Its verdict.
    pub verdict: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opened_connection_counts_in_one_step() {
        let mut connections = Connections::default();
        for retransmits in [0, 0, 1, 2, 3, 9] {
            connections.open(retransmits);
        }
        assert_eq!((connections.opened, connections.syn_retransmits), (6, [2, 1, 1, 2]));
        connections.add(&connections.clone());
        assert_eq!((connections.opened, connections.syn_retransmits), (12, [4, 2, 2, 4]));
    }
}
