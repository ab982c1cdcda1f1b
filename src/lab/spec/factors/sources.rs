//! Addresses that connections come from, in turn: `127.0.0.1`, or `127.0.0.2-127.0.0.33`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    pub first: Ipv4Addr,
    /// The same as `first` for a single address.
    pub last: Ipv4Addr,
}

impl Sources {
    pub fn count(self) -> u64 {
        u64::from(u32::from(self.last) - u32::from(self.first)) + 1
    }
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a range of addresses; use 127.0.0.1 or 127.0.0.2-127.0.0.33");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if first > last { Err(wrong()) } else { Ok(Self { first, last }) }
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}
