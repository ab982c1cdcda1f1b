//! What an experiment varies: the full matrix of these levels is run.
//!
//! Knows how a level is written and read; which combinations make sense is for `problems`, what a level does to a run
//! is for the runner.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The factors. Listeners and peers are the columns that are compared; the others make the groups to compare within.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    /// Listener strategies, `NAME[:ARG]`.
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
    /// What happens to one worker while it is measured.
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

/// What befalls one worker, at a time after the measured time begins: `kill@1s`, `stop@500ms+1s`, `stall@500ms+400ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// When, in ms since the measured time began.
    pub at_ms: u64,
    /// How long it lasts in ms; 0 for a kill.
    pub lasts_ms: u64,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT in the end.
    Stop,
    /// One request that occupies a worker (`sleep:` and `spin:` only).
    Stall,
}

impl FaultKind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Stall => "stall",
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is no fault: {why}; use kill@1s, stop@500ms+1s or stall@500ms+400ms")
        };
        let (name, times) = text.split_once('@').ok_or_else(|| wrong("it says not when (`@`)"))?;
        let kinds = [FaultKind::Kill, FaultKind::Stop, FaultKind::Stall];
        let kind = kinds.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| wrong("there are kill, stop and stall"))?;
        let (at, lasts) = times.split_once('+').map_or((times, None), |(at, lasts)| (at, Some(lasts)));
        let time =
            |text: &str| milliseconds(text).ok_or_else(|| wrong(&format!("`{text}` is no time in ms or s")));
        let (at_ms, lasts_ms) = (time(at)?, lasts.map(time).transpose()?);
        match (kind, lasts_ms) {
            (FaultKind::Kill, None) => Ok(Self { kind, at_ms, lasts_ms: 0 }),
            (FaultKind::Kill, Some(_)) => Err(wrong("a kill does not last")),
            (_, None | Some(0)) => Err(wrong("it says not how long (`+`)")),
            (_, Some(lasts_ms)) => Ok(Self { kind, at_ms, lasts_ms }),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind.name(), time(self.at_ms))?;
        if self.lasts_ms > 0 { write!(f, "+{}", time(self.lasts_ms)) } else { Ok(()) }
    }
}

/// `1s`, `500ms` or `0.5s` in ms; at most an hour.
fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (text.strip_suffix('s')?, 1000.0),
    };
    let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let ms = number.parse::<f64>().ok().filter(|_| plain)? * unit;
    (ms <= 3_600_000.0).then(|| ms.round() as u64)
}

fn time(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
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

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
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
        let wrong = || format!("`{text}` is no range of addresses; use 127.0.0.1 or 127.0.0.2-127.0.0.33");
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
    pub const NAMES: [&'static str; 8] =
        ["listener", "peers", "workers", "respond", "backlog", "sources", "pin", "fault"];

    /// The levels of a factor as they are written; `None` where there is no such factor.
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
            "fault" => self.fault.iter().map(|fault| fault_name(*fault)).collect(),
            _ => return None,
        })
    }
}
