//! Handlers that are watched: because they count against `--max-handlers`, or because they may run only so long.
//!
//! A handler leads a process group, and its time-out is for all of it: SIGTERM, and a moment later SIGKILL. One that ends and
//! leaves others of its group behind is watched on without its pidfd. A number is free for reuse only when its group is
//! empty, and before it is signalled the group is found in this worker's session.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid};

use crate::sys::{net, proctable};

/// What a handler beyond its time has for tidying up.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// One of them.
#[derive(Debug)]
pub struct Watched {
    /// Its number, and that of its group.
    pub pid: Pid,
    /// Whether it counts against the limit of handlers.
    pub counted: bool,
    /// When its time is over.
    pub deadline: Option<Instant>,
    /// It was told so.
    warned: bool,
}

impl Watched {
    /// A handler that has just begun.
    pub fn new(pid: i32, counted: bool, time: Option<Duration>) -> Self {
        let deadline = time.map(|time| Instant::now() + time);
        Self { pid: Pid::from_raw(pid), counted, deadline, warned: false }
    }
}

/// All of a worker.
#[derive(Debug, Default)]
pub struct Handlers {
    /// By the number of their pidfds.
    led: HashMap<RawFd, (OwnedFd, Watched)>,
    /// Their first process has ended.
    leaderless: Vec<Watched>,
}

impl Handlers {
    /// Watches one more.
    pub fn insert(&mut self, pidfd: OwnedFd, handler: Watched) {
        self.led.insert(pidfd.as_raw_fd(), (pidfd, handler));
    }

    /// The pidfd `key` says that its process has ended: whether that one was counted. `None` when it is no pidfd of ours.
    pub fn ended(&mut self, key: RawFd) -> Option<bool> {
        let (pidfd, handler) = self.led.remove(&key)?;
        drop(pidfd);
        let counted = handler.counted;
        if handler.deadline.is_some() && killpg(handler.pid, None).is_ok() {
            self.leaderless.push(handler);
        }
        Some(counted)
    }

    /// Takes note of those that have ended by now: how many were counted.
    pub fn discharge(&mut self) -> u64 {
        let over = |pidfd: &OwnedFd| net::readable(pidfd.as_fd()).is_ok_and(|ended| ended);
        let ended: Vec<RawFd> =
            self.led.iter().filter(|(_, (pidfd, _))| over(pidfd)).map(|(key, _)| *key).collect();
        ended.into_iter().filter_map(|key| self.ended(key)).map(u64::from).sum()
    }

    /// When [`sweep`](Self::sweep) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let led = self.led.values().map(|(_, handler)| handler);
        led.chain(&self.leaderless).filter_map(|handler| handler.deadline).min()
    }

    /// Ends those whose time is over.
    pub fn sweep(&mut self, now: Instant) {
        let led = self.led.values_mut().map(|(_, handler)| handler);
        let late: Vec<&mut Watched> = led
            .chain(&mut self.leaderless)
            .filter(|handler| handler.deadline.is_some_and(|end| end <= now))
            .collect();
        if late.is_empty() {
            return;
        }
        let groups: Vec<Pid> = match proctable::processes() {
            Ok(all) => all.iter().filter(|one| one.session == getpid()).map(|one| one.group).collect(),
            Err(error) => return tracing::error!("cannot end handlers whose time is over: {error}"),
        };
        for handler in late {
            handler.end(now, groups.contains(&handler.pid));
        }
        self.leaderless.retain(|handler| handler.deadline.is_some());
    }
}

impl Watched {
    fn end(&mut self, now: Instant, exists: bool) {
        if !exists {
            self.deadline = None;
            return;
        }
        let (signal, next) = if self.warned {
            (Signal::SIGKILL, None)
        } else {
            tracing::warn!(pid = self.pid.as_raw(), "a handler ran longer than it may: it is ended");
            (Signal::SIGTERM, Some(now + LAST_MOMENT))
        };
        (self.warned, self.deadline) = (true, next);
        let _ = killpg(self.pid, signal); // it may have ended at this moment
    }
}
