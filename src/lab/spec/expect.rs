//! Expectations of an experiment: a published claim, the metric that tests it, and the range that reproduces
//! it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::factors::Written;
use crate::measure::stats::Interval;

/// One expectation; several may belong to one claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Short name, such as `R5`.
    pub claim: String,
    pub text: String,
    pub source: String,
    pub published: String,
    /// Name of a [`super::Metric`].
    pub metric: String,
    /// A listener or peer.
    pub of: String,
    /// The listener or peer to divide by, round by round; without it the value itself is judged.
    pub over: Option<String>,
    pub load: String,
    /// Levels that select the group if there are several.
    #[serde(
        rename = "where",
        default,
        deserialize_with = "levels",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub pick: BTreeMap<String, String>,
    /// Levels of the group to divide by, where they differ from `where`.
    #[serde(default, deserialize_with = "levels", skip_serializing_if = "BTreeMap::is_empty")]
    pub over_where: BTreeMap<String, String>,
    /// The range that is the direction of what was published. Either this or `same_size` is needed.
    pub same_direction: Option<Band>,
    /// The range that is its size: within a factor of 1.5 where nothing speaks for another one. A figure that was not
    /// published has none.
    pub same_size: Option<Band>,
    /// One range for both, in files of version 0.1: a size if it has two ends.
    pub(crate) reproduced: Option<Band>,
    /// An expectation of this project that the source does not have: a condition, a repair, a question. The verdict on the claim
    /// leaves it out.
    #[serde(default)]
    pub own: bool,
    /// Why the published figure cannot be tested here.
    pub not_testable: Option<String>,
    /// How the set-up differs from the published one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub differs: String,
    /// The likely reason of a difference.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Expect {
    /// Whether it asks for the same value, whatever it expects of it.
    pub fn asks_as(&self, other: &Self) -> bool {
        let key = |one: &Self| {
            let what = (one.claim.clone(), one.metric.clone(), one.load.clone());
            (what, one.of.clone(), one.over.clone(), one.pick.clone(), one.over_where.clone())
        };
        key(self) == key(other)
    }

    pub fn size(&self) -> Option<Band> {
        self.same_size.or(self.reproduced.filter(|band| band.is_closed()))
    }

    pub fn direction(&self) -> Option<Band> {
        self.same_direction.or(self.reproduced).or(self.same_size)
    }
}

/// Levels as text, written as numbers or as text.
fn levels<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let written = BTreeMap::<String, Written>::deserialize(from)?;
    Ok(written.into_iter().map(|(factor, level)| (factor, level.into())).collect())
}

/// A range: `>= 5`, `<= 2`, or `0.9..1.1` including both ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Minus infinity if open.
    pub low: f64,
    /// Infinity if open.
    pub high: f64,
}

impl Band {
    fn is_closed(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    pub fn holds(self, interval: Interval) -> bool {
        self.low <= interval.low && interval.high <= self.high
    }

    pub fn excludes(self, interval: Interval) -> bool {
        interval.high < self.low || interval.low > self.high
    }
}

impl FromStr for Band {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of figures; use \">= 5\", \"<= 2\" or \"0.9..1.1\"");
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(wrong);
        let trimmed = text.trim();
        let (low, high) = if let Some(low) = trimmed.strip_prefix(">=") {
            (number(low)?, f64::INFINITY)
        } else if let Some(high) = trimmed.strip_prefix("<=") {
            (f64::NEG_INFINITY, number(high)?)
        } else {
            let (low, high) = trimmed.split_once("..").ok_or_else(wrong)?;
            (number(low)?, number(high)?)
        };
        if low > high { Err(wrong()) } else { Ok(Self { low, high }) }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low.is_finite(), self.high.is_finite()) {
            (true, false) => write!(f, ">= {}", self.low),
            (false, _) => write!(f, "<= {}", self.high),
            _ => write!(f, "{}..{}", self.low, self.high),
        }
    }
}

impl Serialize for Band {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Band {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_read_and_written_the_same() {
        for text in [">= 5", "<= 2", "0.9..1.1", "<= -1"] {
            assert_eq!(text.parse::<Band>().unwrap().to_string(), text);
        }
        for text in ["5", "> 5", "2..1", ">= x", "..", "NaN..NaN", ""] {
            assert!(text.parse::<Band>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_interval_lies_inside_outside_or_astride() {
        let band: Band = "1..2".parse().unwrap();
        let case = |low, high| (band.holds(Interval { low, high }), band.excludes(Interval { low, high }));
        assert_eq!(
            (case(1.0, 2.0), case(0.5, 0.9), case(0.5, 1.5)),
            ((true, false), (false, true), (false, false))
        );
        let open: Band = ">= 5".parse().unwrap();
        assert!(open.holds(Interval { low: 5.0, high: f64::INFINITY }));
    }
}
