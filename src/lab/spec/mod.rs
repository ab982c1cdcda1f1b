//! The file of an experiment: what is varied, loaded, repeated and expected.
//!
//! Parses and checks; it does not know how a run is made. Errors name the file, the line and the key.

pub mod blocks;
pub mod catalogue;
mod cpus;
pub mod decision;
mod expect;
mod factors;
pub mod handlers;
mod judged;
mod load;
mod metric;
mod narrow;
pub mod peers;
pub mod plan;
mod problem;
mod problems;
mod rules;
mod sequence;
mod soak;
pub mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::cpus::Cpus;
pub use self::expect::{Band, Expect};
pub use self::factors::{Factors, Fault, FaultKind, Level, Levels, Pin, REST_MS, Sources, Sysctl};
pub use self::load::Load;
pub use self::metric::Metric;
pub use self::rules::Rules;
pub use self::sequence::Sequence;
pub use self::soak::{Limits, Soak};
use crate::lab::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The headline of the report.
    pub question: String,
    #[serde(default)]
    pub source: String,
    /// What the result is to decide: `which listener to take, when requests differ in length`. What stands after the first
    /// comma begins the advice of the report.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// Runs of each cell and load.
    pub rounds: u32,
    pub warmup_s: f64,
    /// Measured time of a run.
    pub duration_s: f64,
    /// Measured time after a fault is over; replaces `duration_s` in runs with a fault.
    pub after_fault_s: Option<f64>,
    /// Interval of all time series.
    #[serde(default = "quarter")]
    pub interval_s: f64,
    /// For the order of the runs, arrivals, jobs and what workers draw.
    pub seed: u64,
    /// See [`handlers`]; needed if `respond` is `cgi`.
    pub handler: Option<String>,
    /// The listener that the others are compared with.
    pub baseline: String,
    /// Columns that are compared with another column than the baseline, such as a C program with the same mechanism.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub against: BTreeMap<String, String>,
    /// Whether the baseline, and every other column that columns are compared with, runs twice (A/A). Otherwise no
    /// difference is judged.
    #[serde(default = "yes")]
    pub twin: bool,
    /// Results of before schema 3: only the baseline has run twice.
    #[serde(skip)]
    pub one_twin: bool,
    /// Name of the [`Metric`] that is judged under every load that names none itself. By default it is the rate of closed
    /// loops, the p99 of open ones, and with a fault the connections that are late per fault; the others are described.
    pub primary: Option<String>,
    /// The least effect of interest, as a share: strategies are equivalent if they differ by less. By default, and for what
    /// is counted for each fault, [`Metric::least_effect`].
    pub least_effect: Option<f64>,
    /// Gives estimates only: fewer rounds than a judgement needs are allowed.
    #[serde(default)]
    pub estimate: bool,
    /// Which processors server and load generator use.
    #[serde(default)]
    pub cpus: Cpus,
    /// Put before the command of the server, split as by a shell: `taskset -c 0`.
    pub server_prefix: Option<String>,
    /// Put before the command of the load generator.
    pub client_prefix: Option<String>,
    #[serde(default)]
    pub rules: Rules,
    pub sequence: Option<Sequence>,
    pub soak: Option<Soak>,
    pub factors: Factors,
    /// Commands of peers `command:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peer: BTreeMap<String, PeerCommand>,
    pub load: Vec<Load>,
    /// Loads from further, unmeasured load generators during each of those, for mixed traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Load>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expect>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerCommand {
    /// The command with `{port}`, `{workers}`, `{root}` and others to be filled in, split as a shell would.
    pub command: String,
    /// Path of the URL, where it is not that of the load.
    pub path: Option<String>,
}

fn yes() -> bool {
    true
}

fn quarter() -> f64 {
    0.25
}

impl Spec {
    /// Parses an experiment; `origin` names the file in messages.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let spec: Self = toml::from_str(text).map_err(|error| located(&error, text, origin))?;
        problems::find(&spec).map_err(|problem| problem.located(text, origin))?;
        Ok(spec)
    }

    /// Handlers in the paths of loads, other than [`Self::handler`].
    pub fn other_handlers(&self) -> BTreeSet<&str> {
        let paths = self.load.iter().chain(&self.beside).filter_map(|load| load.path.as_deref());
        paths
            .map(handlers::named)
            .filter(|name| handlers::is_known(name) && self.handler.as_deref() != Some(name))
            .collect()
    }

    /// Measured seconds of a run under this load with this fault.
    pub fn measured_s(&self, load: &Load, fault: Option<Fault>) -> f64 {
        match (fault, self.after_fault_s) {
            (Some(fault), Some(after_s)) => fault.over_ms() as f64 / 1e3 + after_s,
            _ => load.duration_s.unwrap_or(self.duration_s),
        }
    }

    /// Rounds that may repeat those in which a run is void.
    pub fn extra_rounds(&self) -> u32 {
        self.rounds / 2
    }

    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read the experiment", path, e))?;
        Self::parse(&text, &path.display().to_string())
    }
}

/// The words of a command, as a shell would split it: with quotes and backslashes, without expansion.
pub fn words(command: &str) -> std::result::Result<Vec<String>, String> {
    shlex::split(command)
        .ok_or_else(|| format!("`{command}`: a quote is not closed, or a backslash is the last"))
}

/// An error of the TOML parser, with file and line.
pub fn located(error: &toml::de::Error, text: &str, origin: &str) -> Error {
    let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
    Error::Usage(format!("{origin}:{line}: {}", error.message().trim().replace('\n', ": ")))
}

#[cfg(test)]
mod tests;
