//! What an experiment varies: the full matrix of these levels is run.
//!
//! Knows how a level is written and read; which combinations make sense is for `problems`, what a level does to a run
//! is for the runner.

mod fault;
mod listeners;
mod sysctl;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::fault::{Fault, FaultKind};
pub use self::sysctl::Sysctl;

/// The factors. Listeners and peers are the columns that are compared; the others make the groups to compare within.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// Listener strategies, `NAME[:ARG]`; `all` is every strategy, `-NAME` beside it leaves one out. What follows after a blank
    /// are options of the server, as in `inherited --pin`: such a column is compared with that of the same strategy without
    /// them, if there is one.
    #[serde(deserialize_with = "listeners::deserialize")]
    pub listener: Vec<String>,
    /// Other servers beside the listeners: `nginx:exclusive`, `lighttpd`, `command:NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// Numbers of worker processes.
    #[serde(default = "four")]
    pub workers: Vec<usize>,
    /// What a worker does with a request, as for `caffeine --respond`.
    #[serde(default = "cgi")]
    pub respond: Vec<String>,
    /// Lengths of the accept queue; none is the server's default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backlog: Vec<u32>,
    /// Addresses that connections come from, `ADDRESS` or `FIRST-LAST`; none is the system's choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Sources>,
    /// Which processors the programs may use.
    #[serde(default = "unpinned")]
    pub pin: Vec<Pin>,
    /// Settings of the kernel's network, each in a network of its own; none is the system's, and in its network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctl: Vec<Sysctl>,
    /// What happens to the server while it is measured.
    #[serde(default = "faultless", with = "faults")]
    pub fault: Vec<Option<Fault>>,
}

fn four() -> Vec<usize> {
    vec![4]
}

fn cgi() -> Vec<String> {
    vec!["cgi".into()]
}

fn unpinned() -> Vec<Pin> {
    vec![Pin::None]
}

fn faultless() -> Vec<Option<Fault>> {
    vec![None]
}

impl Default for Factors {
    fn default() -> Self {
        Self {
            listener: Vec::new(),
            peers: Vec::new(),
            workers: four(),
            respond: cgi(),
            backlog: Vec::new(),
            sources: Vec::new(),
            pin: unpinned(),
            sysctl: Vec::new(),
            fault: faultless(),
        }
    }
}

/// Which processors server and load generator may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// All, both.
    #[default]
    None,
    /// The server all but the last, the load generator the last.
    Split,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Split => "split",
        })
    }
}

/// The level's name: `none`, or the fault as it is written.
pub fn fault_name(fault: Option<Fault>) -> String {
    fault.map_or_else(|| "none".into(), |fault| fault.to_string())
}

mod faults {
    //! Levels of the factor `fault` as texts.
    use super::{Deserialize, Deserializer, Fault, Serializer, fault_name};

    pub fn serialize<S: Serializer>(levels: &[Option<Fault>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(levels.iter().map(|fault| fault_name(*fault)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Option<Fault>>, D::Error> {
        let level = |text: String| if text == "none" { Ok(None) } else { text.parse().map(Some) };
        let levels: Result<_, String> = Vec::<String>::deserialize(from)?.into_iter().map(level).collect();
        levels.map_err(serde::de::Error::custom)
    }
}

/// Addresses that connections come from, in turn: `127.0.0.1`, or `127.0.0.2-127.0.0.33`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sources {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last one; the same when there is only one.
    pub last: Ipv4Addr,
}

impl Sources {
    /// How many addresses these are.
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
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Factors {
    /// The names of the factors.
    pub const NAMES: [&'static str; 9] =
        ["listener", "peers", "workers", "respond", "backlog", "sources", "pin", "sysctl", "fault"];

    /// The levels of a factor as they are written; `None` for an unknown factor.
    pub fn levels(&self, factor: &str) -> Option<Vec<String>> {
        fn texts<T: fmt::Display>(levels: &[T]) -> Vec<String> {
            levels.iter().map(ToString::to_string).collect()
        }
        Some(match factor {
            "listener" => self.listener.clone(),
            "peers" => self.peers.clone(),
            "workers" => texts(&self.workers),
            "respond" => self.respond.clone(),
            "backlog" => texts(&self.backlog),
            "sources" => texts(&self.sources),
            "pin" => texts(&self.pin),
            "sysctl" => texts(&self.sysctl),
            "fault" => self.fault.iter().map(|fault| fault_name(*fault)).collect(),
            _ => return None,
        })
    }
}
