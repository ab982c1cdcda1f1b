//! The text of a level: the same in experiments, in `--only` and in the data.

use std::fmt::Display;
use std::str::FromStr;

pub trait Level: Clone + PartialEq {
    fn parse(text: &str) -> Result<Self, String>;

    fn text(&self) -> String;
}

impl Level for usize {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("`{text}` is not a whole number"))
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Level for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn text(&self) -> String {
        self.clone()
    }
}

/// `none`, or a level.
impl<T> Level for Option<T>
where
    T: FromStr<Err: Display> + Display + Clone + PartialEq,
{
    fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error: T::Err| error.to_string())
    }

    fn text(&self) -> String {
        self.as_ref().map_or_else(|| "none".into(), T::to_string)
    }
}

/// A level as it stands in a TOML file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Written {
    Number(u64),
    Text(String),
}

impl From<Written> for String {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        }
    }
}

pub mod list {

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{Level, Written};

    pub fn serialize<L: Level, S: Serializer>(levels: &[L], to: S) -> Result<S::Ok, S::Error> {
        let written = |text: String| text.parse().map_or(Written::Text(text), Written::Number);
        to.collect_seq(levels.iter().map(|level| written(level.text())))
    }

    pub fn deserialize<'de, L: Level, D: Deserializer<'de>>(from: D) -> Result<Vec<L>, D::Error> {
        let written = Vec::<Written>::deserialize(from)?;
        written.into_iter().map(|level| L::parse(&String::from(level)).map_err(D::Error::custom)).collect()
    }
}
