//! A process that the supervisor started, replaced when it dies.

use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::generation::Generation;
use crate::sys::fork::Fate;

/// A process that lives shorter than this counts as dying at its start.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// First pause before replacing a process that keeps dying, and after a failed fork. It doubles...
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The job of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Worker,
    /// Serves the strategy beside the workers; the strategy gives the name.
    Auxiliary(&'static str),
    /// Watches the instance's handlers and belongs to no generation.
    Keeper,
}

/// The process may be missing while a replacement is due.
#[derive(Debug)]
pub(super) struct Member {
    pub slot: usize,
    /// Number of a worker within its generation.
    pub number: usize,
    pub duty: Duty,
    /// For the keeper: the generation whose settings apply to it.
    pub generation: Rc<Generation>,
    pub pid: Option<Pid>,
    /// Number of listening sockets when it was forked; it holds the first that many.
    pub sockets: usize,
    /// It has reported that it is ready.
    pub ready: bool,
    /// Stopped by SIGSTOP.
    pub stopped: bool,
    /// It is to end and will not be replaced.
    pub retiring: bool,
    /// SIGTERM has been sent.
    pub told: bool,
    /// Deaths before ready, and how the last process ended.
    pub deaths_unready: u32,
    pub last_fate: Option<Fate>,
    /// Processes so far.
    pub starts: u64,
    started: Instant,
    /// Consecutive deaths shortly after the start.
    short_lives: u32,
    /// When to fork the next process.
    pub due: Option<Instant>,
}

impl Member {
    /// A member without a process, due at once.
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
            starts: 0,
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

    /// Whether it serves its strategy beside the workers.
    pub fn is_auxiliary(&self) -> bool {
        matches!(self.duty, Duty::Auxiliary(_))
    }

    pub fn is_of(&self, generation: &Rc<Generation>) -> bool {
        !self.is_keeper() && Rc::ptr_eq(&self.generation, generation)
    }

    /// Name for the log.
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

    /// Sends a signal. The process is our child and not yet reaped, so the pid is its own.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            let _ = kill(pid, signal);
        }
    }

    /// Tells it to finish its work and end.
    pub fn leave(&mut self) {
        self.told = true;
        self.signal(Signal::SIGTERM);
    }

    /// A process was forked.
    pub fn begin(&mut self, pid: Pid, sockets: usize) {
        (self.pid, self.sockets) = (Some(pid), sockets);
        self.starts += 1;
        (self.started, self.due) = (Instant::now(), None);
    }

    /// Pause before the next process, after a death at this moment.
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
