//! `--outcomes on|off|auto`: whether the ends of handlers are recorded.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcomes {
    /// Always.
    On,
    /// Never.
    Off,
    /// If handlers are watched for another reason.
    #[default]
    Auto,
}

impl Outcomes {
    /// Whether the keeper, if there is one, records them.
    pub fn are_recorded(self) -> bool {
        self != Self::Off
    }
}

impl FromStr for Outcomes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            other => Err(format!("'{other}' is not one of on, off, auto")),
        }
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Auto => "auto",
        })
    }
}
