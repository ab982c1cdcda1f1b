//! An experiment as its file says: what is asked, varied, loaded and repeated.
//!
//! Parses and checks; it does not know how a run is made. Errors name the file, the line and the key.

use std::path::Path;

use serde::{Deserialize, Serialize};

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
    /// Seed of the order of the runs, of the load generator and of the bootstrap.
    pub seed: u64,
    /// Handler to serve (see [`super::handlers`]), needed where `respond` is `cgi`.
    pub handler: Option<String>,
    /// The listener that the others are compared with; it runs twice (A/A).
    pub baseline: String,
    /// What is varied.
    pub factors: Factors,
    /// The loads that each combination is put under.
    pub load: Vec<Load>,
}

/// The full matrix of these is run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// Listener strategies, `NAME[:ARG]`.
    pub listener: Vec<String>,
    /// Numbers of worker processes.
    #[serde(default = "four")]
    pub workers: Vec<usize>,
    /// What a worker does with a request, as for `caffeine --respond`.
    #[serde(default = "cgi")]
    pub respond: Vec<String>,
}

fn four() -> Vec<usize> {
    vec![4]
}

fn cgi() -> Vec<String> {
    vec!["cgi".into()]
}

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
}

impl Load {
    /// The load in words.
    pub fn describe(&self) -> String {
        match (self.closed, self.open, self.open_of_capacity) {
            (Some(1), ..) => "one connection at a time".into(),
            (Some(n), ..) => format!("{n} connections at once"),
            (_, Some(rate), _) => format!("{rate} requests/s"),
            (_, _, Some(share)) => format!("{} % of capacity", share * 100.0),
            _ => "no load".into(),
        }
    }
}

impl Spec {
    /// Reads the text of an experiment. `origin` is the file's name for messages.
    ///
    /// # Errors
    /// Broken TOML, unknown or missing keys, values that make no experiment: with file, line and key.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let spec: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Error::Usage(format!("{origin}:{line}: {}", error.message().replace('\n', ": ")))
        })?;
        match spec.problem() {
            Some((key, what)) => Err(Error::Usage(format!("{origin}:{}: {key}: {what}", line_of(text, key)))),
            None => Ok(spec),
        }
    }

    /// The file's text for the results folder.
    ///
    /// # Errors
    /// None for a parsed spec.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read the experiment", path, e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The first key whose value makes no experiment, and why.
    fn problem(&self) -> Option<(&'static str, String)> {
        let Factors { listener, workers, respond } = &self.factors;
        let odd = |seconds: f64, least: f64| !(least..=3600.0).contains(&seconds);
        if self.rounds == 0 {
            return Some(("rounds", "at least 1 round is needed".into()));
        }
        if odd(self.duration_s, 0.1) {
            return Some(("duration_s", format!("{} is not within 0.1 to 3600 seconds", self.duration_s)));
        }
        if odd(self.warmup_s, 0.0) {
            return Some(("warmup_s", format!("{} is not within 0 to 3600 seconds", self.warmup_s)));
        }
        for (key, empty) in [("listener", listener.is_empty()), ("workers", workers.is_empty())] {
            if empty {
                return Some((key, "at least one is needed".into()));
            }
        }
        if respond.is_empty() {
            return Some(("respond", "at least one is needed".into()));
        }
        if workers.contains(&0) {
            return Some(("workers", "0 workers serve nobody".into()));
        }
        if !listener.contains(&self.baseline) {
            let list = listener.join(", ");
            return Some(("baseline", format!("`{}` is not one of the listeners ({list})", self.baseline)));
        }
        if self.handler.is_none() && respond.iter().any(|r| r == "cgi") {
            return Some(("respond", "`cgi` needs `handler = \"NAME\"`, such as \"hello\"".into()));
        }
        let twice = |list: &[String]| {
            list.iter().enumerate().find(|(i, v)| list[..*i].contains(v)).map(|(_, v)| v.clone())
        };
        if let Some(name) = twice(listener) {
            return Some(("listener", format!("`{name}` is named twice")));
        }
        self.load_problem()
    }

    fn load_problem(&self) -> Option<(&'static str, String)> {
        if self.load.is_empty() {
            return Some(("load", "at least one [[load]] is needed".into()));
        }
        for (index, load) in self.load.iter().enumerate() {
            let name = &load.name;
            let given = [load.closed.is_some(), load.open.is_some(), load.open_of_capacity.is_some()];
            if given.iter().filter(|given| **given).count() != 1 {
                return Some((
                    "load",
                    format!("`{name}` needs exactly one of closed, open, open_of_capacity"),
                ));
            }
            if load.closed == Some(0) {
                return Some(("closed", "0 connections are no load".into()));
            }
            if load.open.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
                return Some(("open", "the rate must be above 0".into()));
            }
            if load.open_of_capacity.is_some_and(|share| !(0.01..=2.0).contains(&share)) {
                return Some(("open_of_capacity", "the share must be within 0.01 and 2".into()));
            }
            if self.load[..index].iter().any(|other| other.name == *name) {
                return Some(("load", format!("two loads are named `{name}`")));
            }
        }
        None
    }
}

/// The line that a key stands on, 1 when it is nowhere.
fn line_of(text: &str, key: &str) -> usize {
    let names = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
    };
    1 + text.lines().position(names).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: &str = include_str!("../../experiments/quick.toml");

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
            ("name = \"half load\"", "name = \"full load\"", "load: two loads are named `full load`"),
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
