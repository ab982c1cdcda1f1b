//! `--outcomes on|off|auto`: whether it is recorded how handlers end.

use std::fmt;
use std::str::FromStr;

/// The setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcomes {
    /// Of every handler.
    On,
    /// Of none.
    Off,
    /// Where handlers are watched for another reason.
    #[default]
    Auto,
}

impl Outcomes {
    /// Whether the keeper records them, where there is one.
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
