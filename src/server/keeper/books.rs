//! The keeper's bookkeeping: reported launches, handlers found in the process table, and their ends.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::unistd::Pid;

use super::census::Census;
use super::note::{Launch, Note, Request};
use super::relay::{End, Ended, Facts, Slot};
use super::watch::{RETRY, Watched};
use super::{Keeper, Post, SOCKET, outcome};
use crate::scoreboard::mounts::Shares;
use crate::scoreboard::{Row, Scoreboard, State};
use crate::server::logging;
use crate::sys::clock::{self, monotonic_ns};
use crate::sys::fdpass;
use crate::sys::pidfd::{self, Pidfd};
use crate::sys::proctable::{self, Process};

impl Keeper {
    /// Receives messages, and begins with what they ask for.
    pub(super) fn receive(&mut self, most: usize) {
        for _ in 0..most {
            if !self.may_receive() || !self.receive_one() {
                break;
            }
        }
        self.begin_responses();
    }

    /// Returns whether there may be more.
    fn receive_one(&mut self) -> bool {
        match fdpass::receive_some(self.post.exit.as_fd(), &mut self.message, false) {
            Ok((0, _)) => {
                // Supervisor and workers are gone; what runs is still watched to its end.
                let _ = self.epoll.delete(&self.post.exit);
                return false;
            }
            Ok((length, attached)) => match Note::decode(&self.message[..length]) {
                Some(Note::Launched(launch)) => self.launched(launch, attached),
                Some(Note::Gone { session, lost, timeout }) => {
                    self.post.sessions.insert(Pid::from_raw(session));
                    self.post.timeout = timeout;
                    self.lost = self.lost.max(lost);
                    self.census_due = Some(Instant::now());
                }
                Some(Note::Logging(how)) => logging::adopt(how),
                Some(Note::Stay) => self.stay(),
                Some(Note::Succeeded) => self.succeeded = true,
                None => tracing::error!("ignoring a malformed message of {length} bytes"),
            },
            Err(error) => return error.kind() == io::ErrorKind::Interrupted,
        }
        true
    }

    /// Under load many programs have written and ended by now: what is known at once need not be watched.
    fn begin_responses(&mut self) {
        for (key, handler) in std::mem::take(&mut self.fresh) {
            self.relays.advance(&self.epoll, key);
            let Some(id) = handler else { continue };
            let pidfd = self.handlers.pidfd(id).filter(|_| self.relays.awaits_program(key));
            if pidfd.is_some_and(|pidfd| pidfd.wait(0).unwrap_or(false)) {
                self.ended(id);
            } else {
                self.await_end(id);
            }
        }
    }

    /// Whether descriptors are free for those of a message. If not, messages wait in the socket and count there.
    fn may_receive(&mut self) -> bool {
        let may = self.descriptors() + fdpass::MOST <= self.reserve.capacity();
        if may != self.receiving {
            let events = if may { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
            if self.epoll.modify(&self.post.exit, &mut EpollEvent::new(events, SOCKET)).is_ok() {
                self.receiving = may;
                if !may {
                    tracing::warn!(
                        "out of descriptors to watch handlers; further ones are watched when others have ended"
                    );
                }
            }
        }
        may
    }

    /// Descriptors of handlers and responses.
    fn descriptors(&self) -> usize {
        self.handlers.running() + self.relays.descriptors()
    }

    fn launched(&mut self, mut launch: Launch, attached: [Option<OwnedFd>; fdpass::MOST]) {
        let pid = Pid::from_raw(launch.pid);
        self.post.sessions.insert(Pid::from_raw(launch.worker));
        if launch.timeout_of_unknown.is_some() {
            self.post.timeout = launch.timeout_of_unknown;
        }
        // Counted here before it is uncounted there.
        let known = self.handlers.find(pid).is_some();
        if !known {
            self.count(1, launch.shares);
        } else if let Some(handler) =
            self.handlers.find(pid).filter(|handler| handler.shares == Shares::default())
        {
            handler.shares = launch.shares;
            self.places.count(1, launch.shares);
        }
        let row = self.post.board.row(launch.slot as usize);
        row.passed.store(launch.ordinal, SeqCst);
        self.places.passed(launch.shares);
        let [first, second, third] = attached;
        let (response, pidfd) = match (launch.relayed.take(), first, second) {
            (Some(request), Some(client), Some(output)) => {
                (Some(self.relay(request, &launch, (client, output))), third)
            }
            (None, pidfd, _) => (None, pidfd),
            _ => {
                tracing::error!(pid = launch.pid, "a response is lost: its descriptors did not arrive");
                (None, None)
            }
        };
        let handler = match pidfd {
            _ if known => {
                self.complete(&launch, response);
                None
            }
            Some(pidfd) => Some(self.insert(&launch, response, Pidfd::of(pid, pidfd))),
            None => {
                self.without_pidfd.push((launch, response));
                None
            }
        };
        match response {
            Some(key) => self.fresh.push((key, handler)),
            None => handler.into_iter().for_each(|id| self.await_end(id)),
        }
    }

    /// Begins to pass on a response.
    fn relay(&mut self, request: Request, launch: &Launch, fds: (OwnedFd, OwnedFd)) -> u64 {
        let facts = Facts {
            request,
            handler: Arc::clone(&launch.name),
            worker: launch.number,
            pid: launch.pid,
            started: started(launch),
            status: 0,
            bytes: 0,
            end: End::default(),
            reason: None,
            program: None,
        };
        self.relays.begin(facts, fds, launch.timeout)
    }

    /// A handler that was found in the process table was also reported.
    fn complete(&mut self, launch: &Launch, response: Option<u64>) {
        let pid = Pid::from_raw(launch.pid);
        if let Some(handler) = self.handlers.find(pid) {
            describe(handler, launch, response);
        }
        self.handlers.set_timeout(pid, launch.timeout);
    }

    /// Adds a reported handler, and returns its key.
    fn insert(&mut self, launch: &Launch, response: Option<u64>, pidfd: Pidfd) -> u64 {
        let pid = Pid::from_raw(launch.pid);
        let mut handler = Watched::new(pid, Some(pidfd), started(launch), launch.timeout);
        describe(&mut handler, launch, response);
        self.board_running(&handler, 1);
        self.handlers.insert(handler)
    }

    /// Has the end of a handler reported.
    fn await_end(&mut self, id: u64) {
        let Some(handler) = self.handlers.get_mut(id) else { return };
        match handler.await_end(&self.epoll, id) {
            Ok(true) => {}
            Ok(false) => self.looked_at.push(id),
            Err(error) => {
                // Out of memory: the handler will be found in the process table.
                tracing::error!(pid = handler.pid.as_raw(), "cannot watch a handler: {error}; trying again");
                let (counted, shares) = (handler.counted, handler.shares);
                self.handlers.forget(id);
                self.count(-i64::from(counted), shares);
                self.census_due = Some(Instant::now() + RETRY);
            }
        }
    }

    /// A handler whose pidfd could not be received for lack of a descriptor.
    pub(super) fn watch_by_number(&mut self, launch: Launch, response: Option<u64>) {
        match Pidfd::open(launch.pid.unsigned_abs()) {
            Ok(pidfd) => {
                let id = self.insert(&launch, response, pidfd);
                self.await_end(id);
            }
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                if !self.still_relays(response, Ended::default(), Some(Slot(launch.shares))) {
                    self.count(-1, launch.shares);
                }
            }
            Err(_) => self.without_pidfd.push((launch, response)),
        }
    }

    /// The program of a response has ended. Returns whether the response is still under way, and has its slot.
    fn still_relays(&mut self, response: Option<u64>, ended: Ended, slot: Option<Slot>) -> bool {
        response.is_some_and(|key| self.relays.program_ended(&self.epoll, key, ended, slot))
    }

    /// A pidfd reports that its process has ended.
    pub(super) fn ended(&mut self, id: u64) {
        let (post, relays) = (&self.post, &self.relays);
        let (mut slot, mut row, mut response, mut ended) = (None, None, None, Ended::default());
        let left = self.counted.saturating_sub(1) + self.inherited;
        let had_deadline = self.handlers.ended(&self.epoll, id, |handler, pidfd| {
            let header = post.board.header();
            (row, response) = (handler.row, handler.response);
            slot = handler.counted.then_some(Slot(handler.shares));
            if slot.is_some() && response.is_none() {
                // First, because a request may be waiting for the handler slot.
                header.watched.store(left, SeqCst);
            }
            if (handler.outcome && handler.counted) || response.is_some() {
                ended = Ended { fate: pidfd.fd().and_then(pidfd::fate), timed_out: handler.timed_out() };
            }
            if handler.outcome && handler.counted {
                let client_gone = response.is_some_and(|key| relays.is_given_up(key));
                outcome::record(header, handler, ended.fate, client_gone);
            }
        });
        if let Some((slot, worker)) = row {
            row_running(post.board, slot, worker, -1);
        }
        if !self.still_relays(response, ended, slot)
            && let Some(Slot(shares)) = slot
        {
            self.count(-1, shares);
        }
        if had_deadline && self.census_due.is_none() {
            // Processes that it started in the worker's group can only be found in the process table.
            self.census_due = self.post.timeout.map(|timeout| Instant::now() + timeout);
        }
    }

    /// Watches handlers that are in the process table but not watched yet.
    pub(super) fn take_census(&mut self) -> io::Result<()> {
        let mut serving = serving(self.post.board);
        serving.extend(&self.post.earlier);
        let all = self.reserve.lend(proctable::processes)?;
        let lost = self.lost;
        self.post.sessions.retain(|session| {
            all.iter().any(|one| one.session == *session) || is_staff(self.post.board, *session)
        });
        let watched = self.handlers.numbers();
        let Post { sessions, supervisor, .. } = &self.post;
        let census =
            Census { all: &all, supervisor: *supervisor, sessions, serving: &serving, watched: &watched };
        let found = census.take();
        let mut outcome = Ok(());
        for process in found.first {
            if let Err(error) = self.adopt(&process) {
                outcome = Err(error);
            }
        }
        if self.post.timeout.is_some() {
            for (group, start) in found.groups {
                let mut left = Watched::new(group, None, started_at(start), self.post.timeout);
                left.counted = false;
                self.handlers.insert(left);
            }
        }
        if outcome.is_ok() {
            self.post.board.header().found.fetch_max(lost, SeqCst);
            self.places.unsettle();
        }
        outcome
    }

    /// Watches the first process of a handler found in the process table.
    fn adopt(&mut self, process: &Process) -> io::Result<()> {
        if self.descriptors() >= self.reserve.capacity() {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let pidfd = match Pidfd::open(process.pid.as_raw().unsigned_abs()) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            Err(error) => return Err(error),
        };
        let noted = self.post.board.mounts().and_then(|mounts| mounts.noted(process.pid.as_raw()));
        let timeout = noted.map_or(self.post.timeout, |noted| noted.timeout);
        let mut handler = Watched::new(process.pid, Some(pidfd), started_at(process.start), timeout);
        handler.shares = noted.unwrap_or_default().shares;
        handler.outcome = self.post.outcomes && !self.post.earlier.contains(&process.session);
        handler.row = self.row_of(process.session);
        self.count(1, handler.shares);
        self.board_running(&handler, 1);
        let id = self.handlers.insert(handler);
        self.await_end(id);
        Ok(())
    }

    fn row_of(&self, session: Pid) -> Option<(usize, Pid)> {
        let pid = u64::try_from(session.as_raw()).ok()?;
        let slot = self.post.board.used().position(|row| row.pid.load(Relaxed) == pid)?;
        Some((slot, session))
    }

    fn board_running(&self, handler: &Watched, change: i64) {
        if let Some((slot, worker)) = handler.row {
            row_running(self.post.board, slot, worker, change);
        }
    }
}

fn describe(handler: &mut Watched, launch: &Launch, response: Option<u64>) {
    handler.response = response;
    handler.name = Arc::clone(&launch.name);
    handler.worker = Some(launch.number);
    handler.row = Some((launch.slot as usize, Pid::from_raw(launch.worker)));
    handler.outcome = launch.outcome;
    handler.shares = launch.shares;
}

/// Counts handlers in the row of their worker, unless the row has another worker now.
fn row_running(board: &Scoreboard, slot: usize, worker: Pid, change: i64) {
    let row = board.row(slot);
    if row.pid.load(Relaxed) == u64::try_from(worker.as_raw()).unwrap_or(0) {
        let _ = row.running.fetch_update(SeqCst, SeqCst, |n| Some(n.saturating_add_signed(change)));
    }
}

/// Whether a process is a member of the instance, according to the scoreboard.
fn is_staff(board: &Scoreboard, pid: Pid) -> bool {
    board.used().any(|row| row.pid.load(Relaxed) == u64::try_from(pid.as_raw()).unwrap_or(0))
}

/// Workers that are ready or were: their children are handlers.
fn serving(board: &Scoreboard) -> HashSet<Pid> {
    let serves = |row: &&Row| row.state.load(Relaxed) >= State::Running as u64;
    let pid = |row: &Row| i32::try_from(row.pid.load(Relaxed)).ok().map(Pid::from_raw);
    board.used().filter(serves).filter_map(pid).collect()
}

/// When a worker launched a handler.
fn started(launch: &Launch) -> Instant {
    let (now, age) = (Instant::now(), Duration::from_nanos(monotonic_ns().saturating_sub(launch.started_ns)));
    now.checked_sub(age).unwrap_or(now)
}

/// When a process started, according to /proc.
fn started_at(ticks: u64) -> Instant {
    let now = Instant::now();
    now.checked_sub(clock::since_start(ticks)).unwrap_or(now)
}
