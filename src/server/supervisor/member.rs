//! One process as the supervisor knows it, and the place that it fills.

use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::generation::Generation;
use crate::sys::fork::Fate;

/// A process that lives shorter than this "keeps dying".
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The first pause before a process that keeps dying is replaced, and after a fork that failed; it doubles...
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the process in a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// A worker.
    Worker,
    /// It serves the strategy beside the workers; the strategy calls it so.
    Auxiliary(&'static str),
    /// It watches the instance's handlers, and is of no generation.
    Keeper,
}

/// A place for a process, with or without one in it.
#[derive(Debug)]
pub(super) struct Member {
    /// Row in the scoreboard.
    pub slot: usize,
    /// A worker's number within the generation.
    pub number: usize,
    pub duty: Duty,
    /// The keeper has that of which the settings hold for it.
    pub generation: Rc<Generation>,
    pub pid: Option<Pid>,
    /// How many listening sockets there were when it was forked: it has that number of the first.
    pub sockets: usize,
    /// It has reported that it accepts.
    pub ready: bool,
    /// It was stopped (SIGSTOP).
    pub stopped: bool,
    /// It is to leave, and is not replaced.
    pub retiring: bool,
    /// It was told so.
    pub told: bool,
    /// How often a process in this place has died before it accepted, and how the last one ended.
    pub deaths_unready: u32,
    pub last_fate: Option<Fate>,
    started: Instant,
    /// Deaths in a row shortly after the start.
    short_lives: u32,
    /// When the place is to be filled again.
    pub due: Option<Instant>,
}

impl Member {
    /// An empty place, to be filled at once.
    pub fn new(slot: usize, number: usize, duty: Duty, generation: &Rc<Generation>) -> Self {
        let now = Instant::now();
        Self {
            slot,
            number,
            duty,
            generation: Rc::clone(generation),
            pid: None,
            sockets: 0,
            ready: false,
            stopped: false,
            retiring: false,
            told: false,
            deaths_unready: 0,
            last_fate: None,
            started: now,
            short_lives: 0,
            due: Some(now),
        }
    }

    pub fn is_worker(&self) -> bool {
        self.duty == Duty::Worker
    }

    pub fn is_keeper(&self) -> bool {
        self.duty == Duty::Keeper
    }

    /// Whether it serves the strategy of its generation beside the workers.
    pub fn is_auxiliary(&self) -> bool {
        matches!(self.duty, Duty::Auxiliary(_))
    }

    /// Whether it is one of this generation.
    pub fn is_of(&self, generation: &Rc<Generation>) -> bool {
        !self.is_keeper() && Rc::ptr_eq(&self.generation, generation)
    }

    /// What it is called in the log.
    pub fn title(&self) -> String {
        match self.duty {
            Duty::Worker => format!("worker {}", self.number),
            Duty::Auxiliary(name) => name.to_owned(),
            Duty::Keeper => "keeper".to_owned(),
        }
    }

    pub fn has_pid(&self, pid: i32) -> bool {
        self.pid == Some(Pid::from_raw(pid))
    }

    /// Sends a signal to the process. It is our child and not yet reaped, so the pid is its own.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            let _ = kill(pid, signal);
        }
    }

    /// Tells it to finish what it has and to end.
    pub fn leave(&mut self) {
        self.told = true;
        self.signal(Signal::SIGTERM);
    }

    /// The place is filled.
    pub fn begin(&mut self, pid: Pid, sockets: usize) {
        (self.pid, self.sockets) = (Some(pid), sockets);
        (self.started, self.due) = (Instant::now(), None);
    }

    /// Whether a process was in this place before.
    pub fn has_died(&self) -> bool {
        self.short_lives > 0
    }

    /// Pause before the place is filled again, after a death at this moment.
    pub fn pause(&mut self) -> Duration {
        if self.started.elapsed() >= SHORT_LIFE {
            self.short_lives = 0;
            return Duration::ZERO;
        }
        self.short_lives += 1;
        if self.short_lives == 1 {
            return Duration::ZERO; // once is an accident
        }
        FIRST_PAUSE.saturating_mul(1 << (self.short_lives - 2).min(16)).min(LONGEST_PAUSE)
    }
}
