//! Finds experiments: files in ./experiments, then the copies compiled in.

use std::fs;
use std::path::Path;

use super::suite::Suite;
use super::{Spec, plan};
use crate::lab::error::{Error, Result};

macro_rules! texts {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../experiments/", $name, ".toml"))),)*]
    };
}

/// Experiments and their text at build time.
const COMPILED_IN: &[(&str, &str)] = texts! {
    "quick" "balance" "tail" "tail-cgi" "crash" "strategies" "stuck" "reload" "losses" "losses-full" "control"
    "soak" "cores" "peers" "overhead" "speed" "claims" "claim-r1" "claim-r2" "claim-r3" "claim-r4" "claim-r5"
    "claim-r6" "claim-r7" "claim-r8" "claim-r9" "claim-r10" "claim-r11" "claim-r12" "claim-r13" "claim-r14"
    "claim-r15" "claim-r16" "claim-r17"
};
/// Relative to the working directory.
const FOLDER: &str = "experiments";

#[derive(Clone, Debug)]
pub struct Found {
    /// The name of the file without `.toml`.
    pub name: String,
    pub origin: String,
    pub text: String,
}

#[derive(Clone, Debug)]
pub enum Experiment {
    One(Box<Spec>),
    Suite(Suite),
}

impl Experiment {
    pub fn seconds(&self) -> Result<f64> {
        match self {
            Self::One(spec) => Ok(plan::seconds(spec)),
            Self::Suite(suite) => suite.seconds(),
        }
    }

    pub fn question(&self) -> &str {
        match self {
            Self::One(spec) => &spec.question,
            Self::Suite(suite) => &suite.question,
        }
    }
}

impl Found {
    /// The parsed experiment. A file with a list `suite` is a suite.
    pub fn experiment(&self) -> Result<Experiment> {
        let is_suite =
            toml::from_str::<toml::Table>(&self.text).is_ok_and(|table| table.contains_key("suite"));
        if is_suite {
            Suite::parse(&self.text, &self.origin).map(Experiment::Suite)
        } else {
            Spec::parse(&self.text, &self.origin).map(Box::new).map(Experiment::One)
        }
    }
}

pub fn all() -> Vec<Found> {
    let mut found: Vec<Found> = COMPILED_IN
        .iter()
        .map(|(name, text)| Found {
            name: (*name).into(),
            origin: format!("{name} (compiled in)"),
            text: (*text).into(),
        })
        .collect();
    for entry in fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let path = entry.path();
        let (Some(stem), true) = (path.file_stem(), path.extension().is_some_and(|e| e == "toml")) else {
            continue;
        };
        let name = stem.to_string_lossy().into_owned();
        if let Ok(text) = fs::read_to_string(&path) {
            found.retain(|other| other.name != name);
            found.push(Found { name, origin: path.display().to_string(), text });
        }
    }
    found.sort_by_cached_key(|found| natural(&found.name));
    found
}

/// Sort key of names: `claim-r5` before `claim-r10`.
fn natural(name: &str) -> (String, u64) {
    let text = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (text.to_owned(), name[text.len()..].parse().unwrap_or(0))
}

/// The experiment of this name, or at this path if it ends in `.toml`.
pub fn find(name: &str) -> Result<Found> {
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") {
        let text = fs::read_to_string(path).map_err(|e| Error::file("read the experiment", path, e))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        return Ok(Found { name: stem, origin: name.into(), text });
    }
    let known = all();
    known.iter().find(|found| found.name == name).cloned().ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|found| found.name.as_str()).collect();
        Error::Usage(format!("no experiment `{name}`; there are: {} (lab list)", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experiment_beside_the_source_is_compiled_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
        let stems = files.filter(|path| path.extension().is_some_and(|e| e == "toml"));
        for stem in stems.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()) {
            assert!(COMPILED_IN.iter().any(|(name, _)| *name == stem), "{stem}");
        }
        for (name, text) in COMPILED_IN {
            let found = Found { name: (*name).into(), origin: (*name).into(), text: (*text).into() };
            let decision = match found.experiment().unwrap() {
                Experiment::One(spec) => spec.decision,
                Experiment::Suite(suite) => suite.decision,
            };
            assert!(!decision.is_empty(), "{name} has no decision");
        }
    }

    #[test]
    fn numbers_at_the_end_sort_as_numbers() {
        assert!(natural("claim-r5") < natural("claim-r10") && natural("claim-r10") < natural("claims"));
    }
}
