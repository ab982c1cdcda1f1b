//! An experiment as its file says: what is asked, varied, loaded, repeated and expected.
//!
//! Parses and checks; it does not know how a run is made. Errors name the file, the line and the key.

pub mod catalogue;
mod expect;
mod factors;
pub mod handlers;
mod load;
mod metric;
mod narrow;
pub mod peers;
pub mod plan;
mod problems;
mod rules;
mod sequence;
pub mod shell_words;
mod soak;
pub mod suite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::expect::Expect;
pub use self::factors::{Factors, Fault, FaultKind, Levels, Pin, Sources, Sysctl};
pub use self::load::Load;
pub use self::metric::Metric;
pub use self::rules::Rules;
pub use self::sequence::Sequence;
pub use self::soak::Soak;
use crate::lab::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What the experiment wants to know; the headline of the report.
    pub question: String,
    /// Where the question or the claim comes from.
    #[serde(default)]
    pub source: String,
    /// How often every cell is run.
    pub rounds: u32,
    /// Seconds of load before the measured time.
    pub warmup_s: f64,
    /// Measured seconds of a run.
    pub duration_s: f64,
    /// Seconds that a run with a fault goes on when the fault is over, in the place of `duration_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_fault_s: Option<f64>,
    /// Length in seconds of the intervals of all series over time.
    #[serde(default = "quarter")]
    pub interval_s: f64,
    /// Seed of the order of the runs, of the load generator and of the bootstrap.
    pub seed: u64,
    /// Handler to serve (see [`super::spec::handlers`]), needed where `respond` is `cgi`.
    pub handler: Option<String>,
    /// The listener that the others are compared with.
    pub baseline: String,
    /// Whether the baseline runs twice (A/A). Without that no difference counts.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub twin: bool,
    /// Words that are put before the server's command, split as a shell would: `taskset -c 0`.
    pub server_prefix: Option<String>,
    /// Words that are put before the load generator's command.
    pub client_prefix: Option<String>,
    /// By what a run is judged.
    #[serde(default)]
    pub rules: Rules,
    /// Connections that the lab makes itself before the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// Faults at random times and slow clients, for long runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,
    pub factors: Factors,
    /// Command templates of peers `command:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peer: BTreeMap<String, PeerCommand>,
    /// The loads that each combination is put under.
    pub load: Vec<Load>,
    /// Loads that run beside each of those, for mixed traffic: from other load generators, which are not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Load>,
    /// Published claims that are put to the test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expect>,
}

/// Another server, as a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerCommand {
    /// The command with `{port}`, `{workers}` and `{root}` to be filled in, split as a shell would.
    pub command: String,
    /// When it is ready: `tcp`, once it accepts connections.
    #[serde(default = "tcp")]
    pub ready: String,
}

fn tcp() -> String {
    "tcp".into()
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
fn is_yes(value: &bool) -> bool {
    *value
}

fn quarter() -> f64 {
    0.25
}

impl Spec {
    /// Reads the text of an experiment. `origin` is the file's name for messages.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let spec: Self = toml::from_str(text).map_err(|error| located(&error, text, origin))?;
        match problems::first(&spec) {
            Some(problem) => Err(Error::Usage(format!(
                "{origin}:{}: {}: {}",
                problem.line(text),
                problem.key,
                problem.what
            ))),
            None => Ok(spec),
        }
    }

    /// Handlers that loads ask for by their paths, beside [`Self::handler`].
    pub fn other_handlers(&self) -> BTreeSet<&str> {
        let paths = self.load.iter().chain(&self.beside).filter_map(|load| load.path.as_deref());
        let names =
            paths.map(|path| path.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default());
        names.filter(|name| handlers::is_known(name) && self.handler.as_deref() != Some(name)).collect()
    }

    /// Measured seconds of a run with this fault.
    pub fn measured_s(&self, fault: Option<Fault>) -> f64 {
        match (fault, self.after_fault_s) {
            (Some(fault), Some(after_s)) => (fault.at_ms + fault.lasts_ms) as f64 / 1e3 + after_s,
            _ => self.duration_s,
        }
    }

    /// The experiment in a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read the experiment", path, e))?;
        Self::parse(&text, &path.display().to_string())
    }
}

/// An error of the TOML parser with file and line.
pub fn located(error: &toml::de::Error, text: &str, origin: &str) -> Error {
    let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
    Error::Usage(format!("{origin}:{line}: {}", error.message().trim().replace('\n', ": ")))
}

#[cfg(test)]
mod tests;
