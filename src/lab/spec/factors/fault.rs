//! A fault injected during a measurement.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dist::{LONGEST, parse_duration};

/// A fault at a time after the measurement begins. `kill@1s`, `exit@1s`, `stop@500ms+500ms` and
/// `stall@500ms+400ms` affect one worker; `reload@1s`, `shrink@1s`, `grow@1s` and `end@1s` affect all.
/// `kill@200ms*30/320ms` comes 30 times, every 320 ms; a shrunk or grown server is given its own number of workers back in
/// between, so half of the faults of `shrink` and `grow` are the other reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    pub kind: FaultKind,
    /// After the measurement begins.
    pub at_ms: u64,
    /// 0 for instantaneous faults.
    pub lasts_ms: u64,
    /// At least 1.
    pub times: u32,
    /// From one to the next; 0 for a fault that comes once.
    pub every_ms: u64,
}

/// A process that is struck within this time after its start or after another strike may be replaced late: the server waits
/// longer and longer before it replaces one that keeps dying within a second of its start.
pub const REST_MS: u64 = 1200;

impl Fault {
    /// Each occurrence as a fault that comes once.
    pub fn occurrences(self) -> impl Iterator<Item = Self> {
        let once = Self { times: 1, every_ms: 0, ..self };
        (0..u64::from(self.times))
            .map(move |number| Self { at_ms: self.at_ms + number * self.every_ms, ..once })
    }

    /// When the last occurrence is over.
    pub fn over_ms(self) -> u64 {
        self.at_ms + u64::from(self.times - 1) * self.every_ms + self.lasts_ms
    }

    /// Why it cannot come so often with this many workers.
    pub fn too_often(self, workers: usize) -> Option<String> {
        let Self { kind, every_ms, lasts_ms, times, .. } = self;
        // The worker that a request occupies cannot be chosen.
        let in_turn = matches!(kind, FaultKind::Kill | FaultKind::Exit | FaultKind::Stop);
        let turn = if in_turn { workers as u64 } else { 1 };
        match times {
            1 => None,
            _ if kind == FaultKind::End => Some("a server ends once".into()),
            _ if every_ms <= lasts_ms => {
                Some(format!("the next one comes after {every_ms} ms, before this one is over"))
            }
            _ => (every_ms * turn < REST_MS).then(|| {
                format!("a worker would be struck again after {} ms; it needs {REST_MS} ms", every_ms * turn)
            }),
        }
    }
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

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub fn lasts(self) -> bool {
        matches!(self, Self::Stop | Self::Stall)
    }

    /// Whether a process ends by it, with the connections that it has or whose queue ends with it.
    pub fn ends_processes(self) -> bool {
        !self.lasts()
    }

    pub fn whom(self) -> &'static str {
        if self.strikes_all() { "all workers" } else { "one worker" }
    }

    pub fn strikes_all(self) -> bool {
        self.replaces() || self == Self::End
    }

    /// Whether all workers are replaced.
    pub fn replaces(self) -> bool {
        matches!(self, Self::Reload | Self::Shrink | Self::Grow)
    }

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
                "`{text}` is not a fault: {why}; use kill@1s, exit@1s, reload@1s, shrink@1s, grow@1s, end@1s, stop@500ms+500ms \
                 or stall@500ms+400ms, and for ten of them, one a second: kill@1s*10/1s"
            )
        };
        let (name, times) = text.split_once('@').ok_or_else(|| wrong("the time is missing (`@`)"))?;
        let kind = FaultKind::named(name)
            .ok_or_else(|| wrong("there are kill, exit, reload, shrink, grow, end, stop and stall"))?;
        let time = |text: &str| {
            milliseconds(text).ok_or_else(|| wrong(&format!("`{text}` is not a time in ms or s")))
        };
        let (first, again) =
            times.split_once('*').map_or((times, None), |(first, again)| (first, Some(again)));
        let (at, lasts) = first.split_once('+').map_or((first, None), |(at, lasts)| (at, Some(lasts)));
        let (at_ms, lasts_ms) = (time(at)?, lasts.map(time).transpose()?);
        let lasts_ms = match (kind.lasts(), lasts_ms) {
            (false, None) => 0,
            (false, Some(_)) => return Err(wrong(&format!("{name} has no duration"))),
            (true, None | Some(0)) => return Err(wrong("the duration is missing (`+`)")),
            (true, Some(lasts_ms)) => lasts_ms,
        };
        let (times, every_ms) = match again {
            None => (1, 0),
            Some(again) => {
                let (times, every) = again
                    .split_once('/')
                    .ok_or_else(|| wrong("`*` needs a number and an interval, `*10/1s`"))?;
                let times = times.parse().ok().filter(|times| (2..=100_000).contains(times));
                (times.ok_or_else(|| wrong("`*` needs a number from 2 to 100000"))?, time(every)?)
            }
        };
        Ok(Self { kind, at_ms, lasts_ms, times, every_ms })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind.name(), time(self.at_ms))?;
        if self.lasts_ms > 0 {
            write!(f, "+{}", time(self.lasts_ms))?;
        }
        if self.times > 1 { write!(f, "*{}/{}", self.times, time(self.every_ms)) } else { Ok(()) }
    }
}

/// `1s`, `500ms` or `0.5s` in ms; at most an hour.
fn milliseconds(text: &str) -> Option<u64> {
    let time = parse_duration(text).ok().filter(|time| *time <= LONGEST)?;
    u64::try_from(time.as_millis()).ok()
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
