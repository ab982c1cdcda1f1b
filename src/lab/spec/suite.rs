//! The file of a suite: experiments that answer one question with one table of claims.

use serde::{Deserialize, Serialize};

use super::catalogue::{self, Experiment, Found};
use super::problem::{Checked, check, none, twice};
use super::{Spec, located, plan};
use crate::lab::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    pub question: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    pub suite: Vec<String>,
}

impl Suite {
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let suite: Self = toml::from_str(text).map_err(|error| located(&error, text, origin))?;
        suite.check().map_err(|problem| problem.located(text, origin))?;
        Ok(suite)
    }

    fn check(&self) -> Checked {
        let path = self.suite.iter().find(|name| name.contains('/') || name.ends_with(".toml"));
        none("suite", path.map(|name| format!("`{name}` is a file; name an experiment (lab list)")))?;
        check(!self.suite.is_empty(), "suite", "has no experiments")?;
        none("suite", twice(&self.suite).map(|name| format!("`{name}` is named twice")))
    }

    pub fn members(&self) -> Result<Vec<(Found, Spec)>> {
        let member = |name: &String| {
            let found = catalogue::find(name)?;
            match found.experiment()? {
                Experiment::One(spec) => Ok((found, *spec)),
                Experiment::Suite(_) => {
                    Err(Error::Usage(format!("`{name}` is a suite; a suite can only contain experiments")))
                }
            }
        };
        self.suite.iter().map(member).collect()
    }

    pub fn seconds(&self) -> Result<f64> {
        Ok(self.members()?.iter().map(|(_, spec)| plan::seconds(spec)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_read_and_its_mistakes_are_named_with_their_line() {
        let suite = Suite::parse("question = \"Which?\"\nsuite = [\"quick\"]\n", "s.toml").unwrap();
        assert_eq!(suite.members().unwrap()[0].1.rounds, 4);
        for (text, expected) in [
            ("question = \"?\"\nsuite = []", "s.toml:2: suite: has no experiments"),
            ("question = \"?\"\nsuite = [\"a.toml\"]", "s.toml:2: suite: `a.toml` is a file"),
            ("question = \"?\"\nsuite = [\"a\", \"a\"]", "s.toml:2: suite: `a` is named twice"),
            ("question = \"?\"\nsuite = [\"a\"]\nrounds = 3", "s.toml:3: unknown field `rounds`"),
        ] {
            let error = Suite::parse(text, "s.toml").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let nested = Suite { question: String::new(), decision: String::new(), suite: vec!["claims".into()] };
        assert!(nested.members().unwrap_err().to_string().contains("`claims` is a suite"));
    }

    #[test]
    fn the_claims_take_about_forty_minutes() {
        let suite = Suite::parse(include_str!("../../../experiments/claims.toml"), "claims.toml").unwrap();
        let seconds = suite.seconds().unwrap();
        assert!((1800.0..3300.0).contains(&seconds), "{seconds}");
    }
}
