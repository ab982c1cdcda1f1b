//! Handlers that are watched: because they count against `--max-handlers`, or because they may run only so long.
//!
//! A handler leads a process group, and its time-out is for all of it and for what descends from it: SIGTERM, and a moment later
//! SIGKILL. One that ends and leaves others of its group behind is watched on without its pidfd. A number is free for reuse only
//! when its group is empty, and before it is signalled the group is found in this worker's session. Who was told to end outside
//! of the group is remembered by pidfd: when those in between are gone, nothing else tells whose it was.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid};

use crate::sys::net;
use crate::sys::pidfd::Pidfd;
use crate::sys::proctable::{self, Process};

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
    /// Those outside of its group that were told as well.
    elsewhere: Vec<Pidfd>,
}

impl Watched {
    /// A handler that has just begun.
    pub fn new(pid: i32, counted: bool, time: Option<Duration>) -> Self {
        let deadline = time.map(|time| Instant::now() + time);
        Self { pid: Pid::from_raw(pid), counted, deadline, warned: false, elsewhere: Vec::new() }
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

    /// The pidfd `key` was reported to say that its process has ended: whether a counted one has. `None` when it is no pidfd of
    /// ours.
    pub fn ended(&mut self, key: RawFd) -> Option<bool> {
        // The report may be older than the pidfd: about one of the same number that was counted off and closed since.
        if !over(&self.led.get(&key)?.0) {
            return Some(false);
        }
        let (_, handler) = self.led.remove(&key)?;
        let counted = handler.counted;
        if handler.deadline.is_some() && (killpg(handler.pid, None).is_ok() || !handler.elsewhere.is_empty())
        {
            self.leaderless.push(handler);
        }
        Some(counted)
    }

    /// Takes note of those that have ended by now: how many were counted.
    pub fn discharge(&mut self) -> u64 {
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
        let all = match proctable::processes() {
            Ok(all) => all,
            Err(error) => return tracing::error!("cannot end handlers whose time is over: {error}"),
        };
        let groups: Vec<Pid> = late.iter().map(|handler| handler.pid).collect();
        let families = proctable::families(&all, &groups);
        for handler in late {
            handler.end(now, families.get(&handler.pid).map_or(&[], Vec::as_slice));
        }
        self.leaderless.retain(|handler| handler.deadline.is_some());
    }
}

/// Whether the process has ended.
fn over(pidfd: &OwnedFd) -> bool {
    net::readable(pidfd.as_fd()).is_ok_and(|ended| ended)
}

impl Watched {
    /// `family` are those of its group, and all that descend from them.
    fn end(&mut self, now: Instant, family: &[&Process]) {
        let (group, others): (Vec<&Process>, Vec<&Process>) =
            family.iter().partition(|one| one.group == self.pid);
        let own = group.iter().any(|one| one.session == getpid());
        if !own && self.elsewhere.is_empty() {
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
        if own {
            self.elsewhere
                .extend(others.iter().filter_map(|one| Pidfd::open(one.pid.as_raw().cast_unsigned()).ok()));
            let _ = killpg(self.pid, signal); // it may have ended at this moment
        }
        for one in &self.elsewhere {
            let _ = one.signal(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_report_counts_off_nobody_who_runs() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pidfd = Pidfd::open(child.id()).unwrap().fd().unwrap().try_clone_to_owned().unwrap();
        let key = pidfd.as_raw_fd();
        let mut handlers = Handlers::default();
        handlers.insert(pidfd, Watched::new(child.id().cast_signed(), true, None));
        assert_eq!(handlers.ended(key), Some(false));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((handlers.ended(key), handlers.ended(key)), (Some(true), None));
    }
}
