//! The processors of server and load generator, if restricted.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// The load generator has the last processor, the server all others.
    Split,
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "split" {
            Ok(Self::Split)
        } else {
            Err(format!("`{text}` is neither \"none\" nor \"split\""))
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("split")
    }
}
