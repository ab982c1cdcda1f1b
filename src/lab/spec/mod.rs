//! An experiment as its file says: what is asked, varied, loaded, repeated and expected.
//!
//! Parses and checks; it does not know how a run is made. Errors name the file, the line and the key.

mod expect;
mod factors;
mod load;
mod narrow;
mod problems;
mod rules;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::expect::{Band, Expect};
pub use self::factors::{Factors, Fault, FaultKind, Pin, Sources, fault_name};
pub use self::load::Load;
pub use self::rules::Rules;
use super::error::{Error, Result};

/// One experiment.
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
    /// Length in seconds of the intervals of all series over time.
    #[serde(default = "quarter")]
    pub interval_s: f64,
    /// Seed of the order of the runs, of the load generator and of the bootstrap.
    pub seed: u64,
    /// Handler to serve (see [`super::handlers`]), needed where `respond` is `cgi`.
    pub handler: Option<String>,
    /// The listener that the others are compared with; it runs twice (A/A).
    pub baseline: String,
    /// Words that are put before the server's command, split as a shell would: `taskset -c 0`.
    pub server_prefix: Option<String>,
    /// Words that are put before the load generator's command.
    pub client_prefix: Option<String>,
    /// By what a run is judged.
    #[serde(default)]
    pub rules: Rules,
    /// What is varied.
    pub factors: Factors,
    /// Command templates of peers `command:NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peer: BTreeMap<String, PeerCommand>,
    /// The loads that each combination is put under.
    pub load: Vec<Load>,
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

fn quarter() -> f64 {
    0.25
}

impl Spec {
    /// Reads the text of an experiment. `origin` is the file's name for messages.
    ///
    /// # Errors
    /// Broken TOML, unknown or missing keys, values that make no experiment: with file, line and key.
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

    /// The experiment in a file.
    ///
    /// # Errors
    /// It cannot be read; see [`Spec::parse`].
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
mod tests {
    use super::*;

    const QUICK: &str = include_str!("../../../experiments/quick.toml");

    fn complaint(from: &str, to: &str) -> String {
        let text = QUICK.replacen(from, to, 1);
        assert_ne!(text, QUICK, "{from} is not in the file");
        Spec::parse(&text, "x.toml").expect_err("accepted").to_string()
    }

    #[test]
    fn the_quick_experiment_is_sound() {
        let spec = Spec::parse(QUICK, "quick.toml").unwrap();
        assert_eq!(spec.factors.listener, ["inherited", "reuseport", "round-robin"]);
        assert_eq!(spec.load.len(), 2);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let message = complaint("duration_s = 1.2", "duration = 1.2");
        assert!(message.starts_with("x.toml:7: unknown field `duration`"), "{message}");
        let message = complaint("closed = 16", "clients = 16");
        assert!(message.starts_with("x.toml:20: unknown field `clients`"), "{message}");
    }

    #[test]
    fn values_that_make_no_experiment_are_named_with_their_line() {
        for (from, to, expected) in [
            ("rounds = 4", "rounds = 0", "x.toml:5: rounds: at least 1"),
            ("rounds = 4", "rounds = -1", "x.toml:5: invalid value"),
            (
                "baseline = \"inherited\"",
                "baseline = \"nginx\"",
                "x.toml:11: baseline: `nginx` is not one of",
            ),
            ("workers = [4]", "workers = [0]", "x.toml:15: workers: 0 workers"),
            ("duration_s = 1.2", "duration_s = 0.0", "x.toml:7: duration_s: 0 is not"),
            ("closed = 16", "closed = 16\nopen = 5.0", "x.toml:18: load: `full load` needs exactly one"),
            ("handler = \"hello\"", "", "x.toml:16: respond: `cgi` needs"),
            ("open_of_capacity = 0.5", "open_of_capacity = 50.0", "x.toml:24: open_of_capacity: the share"),
            (
                "name = \"half load\"",
                "name = \"full load\"",
                "x.toml:23: name: two loads are named `full load`",
            ),
            ("\"reuseport\"", "\"inherited\"", "x.toml:14: listener: `inherited` is named twice"),
        ] {
            let message = complaint(from, to);
            assert!(message.contains(expected), "{message} instead of {expected}");
        }
    }

    #[test]
    fn broken_toml_is_named_with_its_line() {
        let message = complaint("rounds = 4", "rounds = ");
        assert!(message.starts_with("x.toml:5: "), "{message}");
    }
}
