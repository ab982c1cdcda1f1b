//! A fault injected during a measurement.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A fault at a time after the measurement begins. `kill@1s`, `exit@1s`, `stop@500ms+1s` and
/// `stall@500ms+400ms` affect one worker; `reload@1s`, `shrink@1s`, `grow@1s` and `end@1s` affect all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    pub kind: FaultKind,
    /// After the measurement begins.
    pub at_ms: u64,
    /// 0 for instantaneous faults.
    pub lasts_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    Kill,
    /// SIGTERM to a worker: it finishes its requests and exits; a successor is started.
    Exit,
    /// SIGHUP to the server: all workers are replaced.
    Reload,
    /// A reload with half as many workers configured.
    Shrink,
    /// A reload with twice as many.
    Grow,
    /// SIGTERM to the server: it finishes its requests and exits. Later connections are refused.
    End,
    /// SIGSTOP to a worker, and SIGCONT at the end.
    Stop,
    /// One request that occupies a worker (`sleep:` and `spin:` only).
    Stall,
}

impl FaultKind {
    pub const ALL: [Self; 8] =
        [Self::Kill, Self::Exit, Self::Reload, Self::Shrink, Self::Grow, Self::End, Self::Stop, Self::Stall];

    /// Whether it has a duration.
    pub fn lasts(self) -> bool {
        matches!(self, Self::Stop | Self::Stall)
    }

    pub fn whom(self) -> &'static str {
        if self.strikes_all() { "all workers" } else { "one worker" }
    }

    /// Whether it affects more than one worker.
    pub fn strikes_all(self) -> bool {
        self.replaces() || self == Self::End
    }

    /// Whether all workers are replaced.
    pub fn replaces(self) -> bool {
        matches!(self, Self::Reload | Self::Shrink | Self::Grow)
    }

    /// Configured workers after the fault.
    pub fn workers_after(self, workers: usize) -> usize {
        match self {
            Self::Shrink => (workers / 2).max(1),
            Self::Grow => workers * 2,
            _ => workers,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Exit => "exit",
            Self::Reload => "reload",
            Self::Shrink => "shrink",
            Self::Grow => "grow",
            Self::End => "end",
            Self::Stop => "stop",
            Self::Stall => "stall",
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is not a fault: {why}; use kill@1s, exit@1s, reload@1s, shrink@1s, grow@1s, end@1s, stop@500ms+1s \
                 or stall@500ms+400ms"
            )
        };
        let (name, times) = text.split_once('@').ok_or_else(|| wrong("the time is missing (`@`)"))?;
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind =
            kind.ok_or_else(|| wrong("there are kill, exit, reload, shrink, grow, end, stop and stall"))?;
        let (at, lasts) = times.split_once('+').map_or((times, None), |(at, lasts)| (at, Some(lasts)));
        let time = |text: &str| {
            milliseconds(text).ok_or_else(|| wrong(&format!("`{text}` is not a time in ms or s")))
        };
        let (at_ms, lasts_ms) = (time(at)?, lasts.map(time).transpose()?);
        match (kind.lasts(), lasts_ms) {
            (false, None) => Ok(Self { kind, at_ms, lasts_ms: 0 }),
            (false, Some(_)) => Err(wrong(&format!("{name} has no duration"))),
            (true, None | Some(0)) => Err(wrong("the duration is missing (`+`)")),
            (true, Some(lasts_ms)) => Ok(Self { kind, at_ms, lasts_ms }),
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

pub fn title(fault: &Option<Fault>) -> String {
    fault.map_or_else(|| "no fault".into(), |fault| fault.to_string())
}

pub fn description(fault: &Option<Fault>) -> String {
    fault.map(|fault| format!("{fault} of {}", fault.kind.whom())).unwrap_or_default()
}
