//! The handlers that are watched, and what their time-out does to them.
//!
//! A handler leads a process group, and its time-out is for all of it and for what descends from it: SIGTERM, and a moment later
//! SIGKILL, again and again until nothing is left. The first process is signalled by its pidfd, which needs neither /proc nor a
//! descriptor, so that neither a change of group nor a lack of descriptors saves it. A handler that ends and leaves others of
//! its group behind is watched on without a pidfd: the number of a group is free for reuse only when the group is empty, and
//! before it is signalled it is found in a worker's session. Processes outside of the group are remembered with their start
//! times: when those in between are gone, nothing else tells whose they were.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::sys::pidfd::Pidfd;
use crate::sys::proctable::{self, Process};

/// What a handler beyond its time has for tidying up.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// Between two tries to kill a process that does not end; it doubles...
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// When the process table cannot be read, it is tried again after this time.
pub const RETRY: Duration = Duration::from_millis(100);

/// A handler.
#[derive(Debug)]
pub struct Watched {
    /// Its first process, and the number of the group that this one led at first.
    pub pid: Pid,
    /// When it was started.
    pub started: Instant,
    /// The worker's row in the scoreboard, where one was found, and its pid.
    pub row: Option<(usize, Pid)>,
    /// The worker's number.
    pub worker: Option<u32>,
    /// Its name; empty where it was found in the process table.
    pub name: Vec<u8>,
    /// Whether it is one of the handlers that are counted, and not what one has left behind.
    pub counted: bool,
    /// Whether its end is recorded.
    pub outcome: bool,
    /// When its time is over, or when to look at it again after that.
    deadline: Option<Instant>,
    /// When it got its SIGTERM.
    warned: Option<Instant>,
    pause: Duration,
    /// Those outside of its group that were signalled as well, with their start times.
    elsewhere: Vec<(Pid, u64)>,
    /// `None` when the first process has ended.
    pidfd: Option<Pidfd>,
}

impl Watched {
    /// A handler with nothing known of it but its process and when that was started.
    pub fn new(pid: Pid, pidfd: Option<Pidfd>, started: Instant, timeout: Option<Duration>) -> Self {
        Self {
            pid,
            started,
            row: None,
            worker: None,
            name: Vec::new(),
            counted: true,
            outcome: false,
            deadline: timeout.and_then(|time| started.checked_add(time)),
            warned: None,
            pause: FIRST_PAUSE,
            elsewhere: Vec::new(),
            pidfd,
        }
    }

    /// Whether its time was over.
    pub fn timed_out(&self) -> bool {
        self.warned.is_some()
    }

    /// The signal that is due, when its deadline has passed.
    fn due_signal(&mut self, now: Instant) -> Signal {
        if self.warned.is_none() {
            tracing::warn!(
                pid = self.pid.as_raw(),
                worker = self.worker,
                handler = (!self.name.is_empty()).then(|| String::from_utf8_lossy(&self.name).into_owned()),
                "handler exceeded handler-timeout; sending SIGTERM"
            );
        }
        let warned = *self.warned.get_or_insert(now);
        if now < warned + LAST_MOMENT { Signal::SIGTERM } else { Signal::SIGKILL }
    }

    /// Signals what can be signalled without a look at the process table.
    fn signal_first(&self, signal: Signal) {
        if let Some(pidfd) = &self.pidfd {
            let _ = pidfd.signal(signal);
            // The number is in use by a living process of ours, so the group is ours too, if there is one.
            let _ = killpg(self.pid, signal);
        }
    }

    /// Signals the others. `family` are the members of its group and all that descend from it. Whether anything is left.
    fn signal_others(&mut self, signal: Signal, family: &[&Process], all: &Table<'_>) -> bool {
        let (group, others): (Vec<&Process>, Vec<&Process>) =
            family.iter().partition(|one| one.group == self.pid);
        let own = self.pidfd.is_some() || group.iter().any(|one| all.sessions.contains(&one.session));
        if own {
            let known: HashSet<Pid> = self.elsewhere.iter().map(|&(pid, _)| pid).collect();
            let new = others.iter().filter(|one| one.pid != self.pid && !known.contains(&one.pid));
            self.elsewhere.extend(new.map(|one| (one.pid, one.start)));
            if self.pidfd.is_none() {
                let _ = killpg(self.pid, signal); // it may have ended at this moment
            }
        }
        self.elsewhere.retain(|(pid, start)| all.by_pid.get(pid).is_some_and(|one| one.start == *start));
        for (pid, _) in &self.elsewhere {
            let _ = kill(*pid, signal);
        }
        self.pidfd.is_some() || (own && !group.is_empty()) || !self.elsewhere.is_empty()
    }

    /// When to look at it again after this signal.
    fn next_look(&mut self, signal: Signal, now: Instant) -> Instant {
        match (signal, self.warned) {
            (Signal::SIGTERM, Some(warned)) => warned + LAST_MOMENT,
            _ => {
                let next = now + self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                next
            }
        }
    }
}

/// The process table at one moment, with the sessions of workers.
struct Table<'a> {
    by_pid: HashMap<Pid, &'a Process>,
    sessions: &'a HashSet<Pid>,
}

/// All handlers.
#[derive(Debug, Default)]
pub struct Handlers {
    all: HashMap<u64, Watched>,
    /// Those with a pidfd, by their process.
    led: HashMap<Pid, u64>,
    due: BTreeSet<(Instant, u64)>,
    last: u64,
    /// The process table could not be read the last time.
    blind: bool,
}

impl Handlers {
    /// Watches one more: the number that it is known by, never 0.
    pub fn insert(&mut self, handler: Watched) -> u64 {
        self.last += 1;
        if handler.pidfd.is_some() {
            self.led.insert(handler.pid, self.last);
        }
        self.due.extend(handler.deadline.map(|deadline| (deadline, self.last)));
        self.all.insert(self.last, handler);
        self.last
    }

    /// Handlers whose first process runs.
    pub fn running(&self) -> usize {
        self.led.len()
    }

    /// Whether nothing is watched, not even what ended handlers have left behind.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The handler whose first process has this number, if it still runs.
    pub fn find(&mut self, pid: Pid) -> Option<&mut Watched> {
        self.all.get_mut(self.led.get(&pid)?)
    }

    /// Forgets one.
    pub fn forget(&mut self, id: u64) {
        let Some(handler) = self.all.remove(&id) else { return };
        self.led.remove(&handler.pid);
        if let Some(deadline) = handler.deadline {
            self.due.remove(&(deadline, id));
        }
    }

    /// What waits for the end of a handler.
    pub fn pidfd(&self, id: u64) -> Option<&Pidfd> {
        self.all.get(&id)?.pidfd.as_ref()
    }

    /// Sets the deadline of one.
    pub fn set_timeout(&mut self, pid: Pid, timeout: Option<Duration>) {
        let Some(&id) = self.led.get(&pid) else { return };
        let Some(handler) = self.all.get_mut(&id) else { return };
        if let Some(deadline) = handler.deadline.take() {
            self.due.remove(&(deadline, id));
        }
        handler.deadline = timeout.and_then(|time| handler.started.checked_add(time));
        self.due.extend(handler.deadline.map(|deadline| (deadline, id)));
    }

    /// The pidfd of this one says that its process has ended. `report` is shown the handler, and its pidfd once more. Whether it
    /// had a deadline, so that something may be left of it.
    pub fn ended(&mut self, id: u64, report: impl FnOnce(&Watched, &Pidfd)) -> bool {
        let Some(handler) = self.all.get_mut(&id) else { return false };
        let Some(pidfd) = handler.pidfd.take() else { return false };
        report(handler, &pidfd);
        self.led.remove(&handler.pid);
        let Some(deadline) = handler.deadline else {
            self.all.remove(&id);
            return false;
        };
        if killpg(handler.pid, None) == Err(Errno::ESRCH) && handler.elsewhere.is_empty() {
            self.due.remove(&(deadline, id));
            self.all.remove(&id);
        }
        true
    }

    /// When [`sweep`](Self::sweep) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(deadline, _)| *deadline)
    }

    /// The processes, and at the same time groups, that are watched.
    pub fn numbers(&self) -> HashSet<Pid> {
        self.all.values().map(|handler| handler.pid).collect()
    }

    /// Ends those whose time is over. `table` reads the process table; if it cannot, the first processes and their groups
    /// are signalled all the same, and the rest when it can.
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
        // Looked up first: when a first process has ended, nothing tells what it had started in other groups.
        match table() {
            Ok(all) => {
                self.blind = false;
                self.end(&signals, now, sessions, &all);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    tracing::error!(
                        "cannot read the process table: {error}; what handlers beyond their time have started is ended later"
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
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    fn child(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap()
    }

    fn watched(child: &Child, timeout_s: u64) -> Watched {
        let pid = Pid::from_raw(child.id().cast_signed());
        let pidfd = Pidfd::open(child.id()).unwrap();
        Watched::new(pid, Some(pidfd), Instant::now(), Some(Duration::from_secs(timeout_s)))
    }

    fn no_table() -> io::Result<Vec<Process>> {
        Err(io::Error::from_raw_os_error(libc::EMFILE))
    }

    #[test]
    fn without_a_process_table_the_first_process_and_its_group_are_ended_all_the_same() {
        let mut stubborn = child("trap '' TERM; sleep 60; sleep 60");
        let mut handlers = Handlers::default();
        let id = handlers.insert(watched(&stubborn, 1));
        let none = HashSet::new();
        let late = Instant::now() + Duration::from_secs(2);
        handlers.sweep(late, &none, no_table);
        assert_eq!(handlers.next_deadline(), Some(late + RETRY), "it is tried again");
        handlers.sweep(late + LAST_MOMENT, &none, no_table);
        assert!(!stubborn.wait().unwrap().success());
        assert!(handlers.ended(id, |handler, _| assert!(handler.timed_out())));
        assert_eq!(handlers.running(), 0);
    }

    #[test]
    fn one_that_ends_in_time_is_forgotten() {
        let mut quick = child("exit 0");
        let mut handlers = Handlers::default();
        let id = handlers.insert(watched(&quick, 60));
        assert!(
            handlers.next_deadline().is_some()
                && handlers.find(Pid::from_raw(quick.id().cast_signed())).is_some()
        );
        quick.wait().unwrap();
        handlers.ended(id, |handler, _| assert!(!handler.timed_out()));
        assert!(handlers.is_empty() && handlers.next_deadline().is_none());
    }

    #[test]
    fn a_later_deadline_takes_the_place_of_the_earlier_one() {
        let mut one = child("sleep 60");
        let mut handlers = Handlers::default();
        handlers.insert(watched(&one, 1));
        handlers.set_timeout(Pid::from_raw(one.id().cast_signed()), Some(Duration::from_secs(3600)));
        assert!(handlers.next_deadline().unwrap() > Instant::now() + Duration::from_secs(3000));
        one.kill().unwrap();
        one.wait().unwrap();
    }
}
