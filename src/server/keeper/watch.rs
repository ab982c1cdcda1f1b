//! The watched handlers and their timeouts.
//!
//! A handler leads a process group, and its timeout applies to the whole group and all descendants: SIGTERM, a moment
//! later SIGKILL, repeated until nothing is left. The first process is signalled through its pidfd, which needs neither
//! /proc nor a new descriptor, so that neither a change of group nor a lack of descriptors saves it. If a handler ends
//! and leaves members of its group behind, they are watched without a pidfd: a group's number is reused only when the
//! group is empty, and before it is signalled it is looked up in a worker's session. Processes outside the group are
//! remembered with their start times, because once their parents have ended nothing else links them to the handler.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::scoreboard::mounts::Shares;
use crate::sys::pidfd::Pidfd;
use crate::sys::proctable::{self, Process};

/// Time between SIGTERM and SIGKILL.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// Pause before killing again a process that does not end. It doubles...
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Pause after a failure to read the process table.
pub const RETRY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Watched {
    /// Its first process, whose pid is also the group's number at first.
    pub pid: Pid,
    pub started: Instant,
    /// The worker's row in the scoreboard, if known, and its pid.
    pub row: Option<(usize, Pid)>,
    pub worker: Option<u32>,
    /// Its name; empty if it was found in the process table.
    pub name: Arc<[u8]>,
    /// Whether it counts as a running handler, as opposed to processes that a handler left behind.
    pub counted: bool,
    pub outcome: bool,
    /// Where it counts besides the instance.
    pub shares: Shares,
    /// Its response, if that is relayed.
    pub response: Option<u64>,
    /// Its timeout, then the time of the next check.
    deadline: Option<Instant>,
    /// Once it has timed out. Apart, since few do and there may be thousands of handlers.
    late: Option<Box<Late>>,
    /// `None` once the first process has ended.
    pidfd: Option<Pidfd>,
    /// Its end is reported by epoll.
    awaited: bool,
}

#[derive(Debug)]
struct Late {
    /// When SIGTERM was sent.
    warned: Instant,
    pause: Duration,
    /// Processes outside its group that were signalled too, with their start times.
    elsewhere: Vec<(Pid, u64)>,
}

impl Watched {
    /// A handler of which only the process and its start time are known.
    pub fn new(pid: Pid, pidfd: Option<Pidfd>, started: Instant, timeout: Option<Duration>) -> Self {
        Self {
            pid,
            started,
            row: None,
            worker: None,
            name: Arc::default(),
            counted: true,
            outcome: false,
            shares: Shares::default(),
            response: None,
            deadline: timeout.and_then(|time| started.checked_add(time)),
            late: None,
            pidfd,
            awaited: false,
        }
    }

    /// Has its end reported with `key`. Returns whether that can be: not without a pidfd.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`.
    pub fn await_end(&mut self, epoll: &Epoll, key: u64) -> nix::Result<bool> {
        let Some(fd) = self.pidfd.as_ref().and_then(Pidfd::fd) else { return Ok(false) };
        epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        self.awaited = true;
        Ok(true)
    }

    /// Whether it timed out.
    pub fn timed_out(&self) -> bool {
        self.late.is_some()
    }

    /// The signal that is due, if the deadline has passed.
    fn due_signal(&mut self, now: Instant) -> Signal {
        if self.late.is_none() {
            tracing::warn!(
                pid = self.pid.as_raw(),
                worker = self.worker,
                handler = (!self.name.is_empty()).then(|| String::from_utf8_lossy(&self.name).into_owned()),
                "handler exceeded handler-timeout; sending SIGTERM"
            );
        }
        let begun = || Box::new(Late { warned: now, pause: FIRST_PAUSE, elsewhere: Vec::new() });
        let late = self.late.get_or_insert_with(begun);
        if now < late.warned + LAST_MOMENT { Signal::SIGTERM } else { Signal::SIGKILL }
    }

    /// Signals the processes that can be signalled without reading the process table.
    fn signal_first(&self, signal: Signal) {
        if let Some(pidfd) = &self.pidfd {
            let _ = pidfd.signal(signal);
            // A living process of ours uses the number, so the group, if it exists, is ours too.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Signals the others: `family` are the members of its group and all their descendants. Returns whether any is
    /// left.
    fn signal_others(&mut self, signal: Signal, family: &[&Process], all: &Table<'_>) -> bool {
        let (group, others): (Vec<&Process>, Vec<&Process>) =
            family.iter().partition(|one| one.group == self.pid);
        let own = self.pidfd.is_some() || group.iter().any(|one| all.sessions.contains(&one.session));
        let is_left = self.pidfd.is_some() || (own && !group.is_empty());
        let Some(Late { elsewhere, .. }) = self.late.as_deref_mut() else { return is_left };
        if own {
            let known: HashSet<Pid> = elsewhere.iter().map(|&(pid, _)| pid).collect();
            let new = others.iter().filter(|one| one.pid != self.pid && !known.contains(&one.pid));
            elsewhere.extend(new.map(|one| (one.pid, one.start)));
            if self.pidfd.is_none() {
                let _ = killpg(self.pid, signal); // it may have ended at this moment
            }
        }
        elsewhere.retain(|(pid, start)| all.by_pid.get(pid).is_some_and(|one| one.start == *start));
        for (pid, _) in elsewhere.iter() {
            let _ = kill(*pid, signal);
        }
        is_left || !elsewhere.is_empty()
    }

    /// When to check again after this signal.
    fn next_look(&mut self, signal: Signal, now: Instant) -> Instant {
        match self.late.as_deref_mut() {
            Some(late) if signal == Signal::SIGTERM => late.warned + LAST_MOMENT,
            Some(late) => {
                let next = now + late.pause;
                late.pause = (late.pause * 2).min(LONGEST_PAUSE);
                next
            }
            None => now + FIRST_PAUSE,
        }
    }
}

/// A snapshot of the process table, with the sessions of workers.
struct Table<'a> {
    by_pid: HashMap<Pid, &'a Process>,
    sessions: &'a HashSet<Pid>,
}

#[derive(Debug, Default)]
pub struct Handlers {
    all: BTreeMap<u64, Box<Watched>>,
    /// Keys of handlers with a pidfd, by pid.
    led: BTreeMap<Pid, u64>,
    due: BTreeSet<(Instant, u64)>,
    last: u64,
    /// The last read of the process table failed.
    blind: bool,
}

impl Handlers {
    /// Watches a handler and returns its key, which is never 0.
    pub fn insert(&mut self, handler: Watched) -> u64 {
        self.last += 1;
        if handler.pidfd.is_some() {
            self.led.insert(handler.pid, self.last);
        }
        self.due.extend(handler.deadline.map(|deadline| (deadline, self.last)));
        self.all.insert(self.last, Box::new(handler));
        self.last
    }

    pub fn running(&self) -> usize {
        self.led.len()
    }

    /// Whether nothing is watched, not even processes that handlers left behind.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The handler with this pid, if its first process still runs.
    pub fn find(&mut self, pid: Pid) -> Option<&mut Watched> {
        self.all.get_mut(self.led.get(&pid)?).map(|handler| &mut **handler)
    }

    /// The shares of all that run.
    pub fn shares(&self) -> impl Iterator<Item = Shares> {
        self.all.values().filter(|one| one.counted && one.pidfd.is_some()).map(|one| one.shares)
    }

    pub fn forget(&mut self, id: u64) {
        let Some(handler) = self.all.remove(&id) else { return };
        self.led.remove(&handler.pid);
        if let Some(deadline) = handler.deadline {
            self.due.remove(&(deadline, id));
        }
    }

    pub fn get_mut(&mut self, id: u64) -> Option<&mut Watched> {
        self.all.get_mut(&id).map(Box::as_mut)
    }

    /// What refers to its first process, while that runs.
    pub fn pidfd(&self, id: u64) -> Option<&Pidfd> {
        self.all.get(&id)?.pidfd.as_ref()
    }

    pub fn set_timeout(&mut self, pid: Pid, timeout: Option<Duration>) {
        let Some(&id) = self.led.get(&pid) else { return };
        let Some(handler) = self.all.get_mut(&id) else { return };
        if let Some(deadline) = handler.deadline.take() {
            self.due.remove(&(deadline, id));
        }
        handler.deadline = timeout.and_then(|time| handler.started.checked_add(time));
        self.due.extend(handler.deadline.map(|deadline| (deadline, id)));
    }

    /// The first process of this handler has ended. Calls `report` with the handler and its pidfd. Returns whether it
    /// had a deadline, so that processes may be left to kill.
    pub fn ended(&mut self, epoll: &Epoll, id: u64, report: impl FnOnce(&Watched, &Pidfd)) -> bool {
        let Some(handler) = self.all.get_mut(&id) else { return false };
        let Some(pidfd) = handler.pidfd.take() else { return false };
        // A worker may still have a copy, and then closing ours does not end the watch.
        if let Some(fd) = pidfd.fd().filter(|_| handler.awaited) {
            let _ = epoll.delete(fd);
        }
        report(handler, &pidfd);
        self.led.remove(&handler.pid);
        let Some(deadline) = handler.deadline else {
            self.all.remove(&id);
            return false;
        };
        let has_others = handler.late.as_ref().is_some_and(|late| !late.elsewhere.is_empty());
        if killpg(handler.pid, None) == Err(Errno::ESRCH) && !has_others {
            self.due.remove(&(deadline, id));
            self.all.remove(&id);
        }
        true
    }

    /// When [`sweep`](Self::sweep) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// Watched processes, which are also the watched groups.
    pub fn numbers(&self) -> HashSet<Pid> {
        self.all.values().map(|handler| handler.pid).collect()
    }

    /// Signals handlers whose deadline has passed. `table` reads the process table; if that fails, first processes and
    /// their groups are signalled anyway, and the rest later.
    pub fn sweep(
        &mut self,
        now: Instant,
        sessions: &HashSet<Pid>,
        table: impl FnOnce() -> io::Result<Vec<Process>>,
    ) {
        let late: Vec<(Instant, u64)> =
            self.due.iter().take_while(|(deadline, _)| *deadline <= now).copied().collect();
        if late.is_empty() {
            return;
        }
        let mut signals = Vec::with_capacity(late.len());
        for (deadline, id) in late {
            self.due.remove(&(deadline, id));
            let Some(handler) = self.all.get_mut(&id) else { continue };
            signals.push((id, handler.due_signal(now)));
        }
        // Looked up first: once a first process has ended, nothing shows what it started in other groups.
        match table() {
            Ok(all) => {
                self.blind = false;
                self.end(&signals, now, sessions, &all);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::error!(
                        "cannot read the process table: {error}; processes started by timed-out handlers are killed later"
                    );
                }
                for (id, signal) in signals {
                    self.all.get(&id).inspect(|handler| handler.signal_first(signal));
                    self.look_again(id, now + RETRY);
                }
            }
        }
    }

    fn end(&mut self, signals: &[(u64, Signal)], now: Instant, sessions: &HashSet<Pid>, all: &[Process]) {
        let numbers: Vec<Pid> = signals.iter().filter_map(|(id, _)| Some(self.all.get(id)?.pid)).collect();
        let families = proctable::families(all, &numbers);
        let table = Table { by_pid: all.iter().map(|one| (one.pid, one)).collect(), sessions };
        for &(id, signal) in signals {
            let Some(handler) = self.all.get_mut(&id) else { continue };
            let family = families.get(&handler.pid).map_or(&[][..], Vec::as_slice);
            handler.signal_first(signal);
            if handler.signal_others(signal, family, &table) {
                let next = handler.next_look(signal, now);
                self.look_again(id, next);
            } else {
                self.all.remove(&id);
            }
        }
    }

    fn look_again(&mut self, id: u64, at: Instant) {
        if let Some(handler) = self.all.get_mut(&id) {
            handler.deadline = Some(at);
            self.due.insert((at, id));
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
