//! `--respond`: how a worker responds to requests.
//!
//! `cgi` starts a handler. The others are for measuring: they send a small fixed response with status 200 that names
//! the worker, at once (`fixed`), after sleeping (`sleep:DIST`), or after using the CPU (`spin:DIST`) for a time drawn
//! from a distribution. A request to the last two can choose the time itself: `?occupy=400ms`.

mod occupy;

use std::fmt;
use std::str::FromStr;

pub use occupy::Occupy;

use crate::dist::Distribution;

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Respond {
    /// Launch a handler.
    #[default]
    Cgi,
    /// Answer at once.
    Fixed,
    /// Sleep for a time drawn from the distribution, then answer.
    Sleep(Distribution),
    /// Keep the CPU busy for a time drawn from the distribution, then answer.
    Spin(Distribution),
}

impl Respond {
    /// What delays the answer, with its own seed.
    pub fn occupy(&self, seed: u64) -> Option<Occupy> {
        match self {
            Self::Cgi | Self::Fixed => None,
            Self::Sleep(time) => Some(Occupy::new(time, false, seed)),
            Self::Spin(time) => Some(Occupy::new(time, true, seed)),
        }
    }
}

impl FromStr for Respond {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) =
            text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let distribution = || {
            let text =
                argument.ok_or_else(|| format!("'{name}' needs a distribution, as in {name}:exp(1ms)"))?;
            text.parse::<Distribution>().map_err(|error| error.to_string())
        };
        match name {
            "cgi" | "fixed" if argument.is_some() => Err(format!("'{name}' takes no argument")),
            "cgi" => Ok(Self::Cgi),
            "fixed" => Ok(Self::Fixed),
            "sleep" => distribution().map(Self::Sleep),
            "spin" => distribution().map(Self::Spin),
            _ => Err(format!(
                "unknown responder '{name}'; the responders are cgi, fixed, sleep:DIST, spin:DIST"
            )),
        }
    }
}

impl fmt::Display for Respond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgi => f.write_str("cgi"),
            Self::Fixed => f.write_str("fixed"),
            Self::Sleep(time) => write!(f, "sleep:{time}"),
            Self::Spin(time) => write!(f, "spin:{time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_responder_is_read_and_written_the_same() {
        for text in ["cgi", "fixed", "sleep:const(1ms)", "spin:exp(250us)", "sleep:bimodal(0.995,100us,10ms)"]
        {
            assert_eq!(text.parse::<Respond>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_responder_says_what_there_is() {
        assert!("echo".parse::<Respond>().unwrap_err().contains("cgi, fixed, sleep:DIST, spin:DIST"));
        assert!("sleep".parse::<Respond>().unwrap_err().contains("needs a distribution"));
        assert!("fixed:1".parse::<Respond>().unwrap_err().contains("takes no argument"));
        assert!("spin:often".parse::<Respond>().is_err());
    }
}
