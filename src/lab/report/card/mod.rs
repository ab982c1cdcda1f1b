//! The decision card at the head of a report: what to do, how sure that is, who should choose otherwise, and what was not
//! measured.
//!
//! ```text
//! findings   what the judge concluded, by name and place, from an analysis and its experiment
//! words      from findings to text: the kind of the experiment selects the rules, and all of them are pure; what several say
//! compared   strategies, options and servers that were compared
//! faults     connections that faults cost
//! claims     published claims                soak   growth against limits
//! amounts    a change, an interval and a count in words
//! ```
//!
//! No rule reads a value by its position: an effect names its metric, its place and what it is compared with.

mod amounts;
#[cfg(test)]
mod cases_tests;
mod claims;
mod compared;
mod faults;
mod findings;
#[cfg(test)]
mod made_tests;
mod soak;
mod terminal;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::amounts::change;
pub use self::claims::{of_suite, ours};
use self::findings::Findings;
use crate::lab::judge::Analysis;
use crate::lab::results::store::Data;

/// A card in sentences without markup. An empty text has nothing to say and is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// What the result is to decide, as the experiment has it.
    pub decision: String,
    /// One sentence: what to do, or why the data allow no advice.
    pub advice: String,
    pub standing: Standing,
    /// The standing in words, with the number of judged comparisons.
    pub stands: String,
    /// What else the result says, the most important first.
    pub effects: Vec<String>,
    /// Who should choose otherwise.
    pub otherwise: String,
    /// `12 rounds, 2 repeated, noise ±4 %`
    pub evidence: String,
    /// What the experiment leaves open.
    pub missing: String,
}

/// How sure an advice is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A difference, a growth or a loss was found that counts, or a limit holds.
    Supported,
    /// All that was judged is equivalent within the least effect of interest.
    Equivalent,
    /// Judged, and neither different nor equivalent.
    Open,
    #[default]
    NotJudged,
    /// Too few rounds: estimates.
    FirstLook,
}

impl Standing {
    /// Of classes in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Supported | Self::Equivalent => "good",
            Self::Open | Self::NotJudged | Self::FirstLook => "open",
        }
    }
}

impl Card {
    pub fn of(data: &Data, analysis: &Analysis) -> Self {
        words::card(&Findings::of(data, analysis))
    }

    /// There is nothing to judge.
    fn unjudged(advice: &str, stands: &str) -> Self {
        Self { advice: advice.into(), stands: stands.into(), ..Self::default() }
    }

    /// The parts below the advice and its effects: a heading and a text.
    pub fn parts(&self) -> Vec<(&'static str, &str)> {
        let parts = [
            ("Standing", self.stands.as_str()),
            ("Choose otherwise", &self.otherwise),
            ("Evidence", &self.evidence),
            ("Not measured", &self.missing),
        ];
        parts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }

    /// For templates.
    pub fn view(&self) -> Value {
        let (parts, class) = (self.parts(), self.standing.class());
        json!({ "advice": self.advice, "effects": self.effects, "parts": parts, "class": class })
    }
}
