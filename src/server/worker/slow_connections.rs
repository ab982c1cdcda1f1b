//! The connections that a worker cannot serve in one go: half-read, kept-alive and lingering ones, each with a deadline.
//!
//! The acceptor adds one with a single epoll_ctl, which wakes no thread. The second thread ([`background`](super::background))
//! waits on the epoll instance and advances the connections whose clients have sent something.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::connection::Connection;
use super::shared::Shared;
use super::slow_connection::{Progress, SlowConnection};
use super::timer::GRAIN;
use crate::listener::address::Shown;
use crate::scoreboard::subtract;

/// Lingering connections that a worker may always have.
const LEAST_LINGERING: usize = 16;
/// How long a stopping worker waits for a client that has not sent anything yet.
const HURRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct SlowConnections {
    shared: &'static Shared,
    epoll: Epoll,
    set: Mutex<Set>,
}

#[derive(Debug, Default)]
struct Set {
    by_fd: HashMap<RawFd, SlowConnection>,
    /// The lingering ones among them, oldest first.
    lingering: BTreeSet<(Instant, RawFd)>,
}

impl Set {
    fn insert(&mut self, slow: SlowConnection) {
        let fd = slow.connection.stream.as_raw_fd();
        self.lingering.extend(slow.lingers_since().map(|since| (since, fd)));
        self.by_fd.insert(fd, slow);
    }

    fn remove(&mut self, fd: RawFd) -> Option<SlowConnection> {
        let slow = self.by_fd.remove(&fd)?;
        if let Some(since) = slow.lingers_since() {
            self.lingering.remove(&(since, fd));
        }
        Some(slow)
    }
}

impl SlowConnections {
    /// Returns an empty set.
    ///
    /// # Errors
    /// Those of epoll_create1(2).
    pub fn new(shared: &'static Shared) -> io::Result<Self> {
        Ok(Self { shared, epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, set: Mutex::default() })
    }

    /// Has [`wait`](Self::wait) return this descriptor's number when it becomes readable.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn watch(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, fd.as_raw_fd() as u64))?)
    }

    /// Like [`watch`](Self::watch), for a descriptor that all workers watch: one of them wakes up (`EPOLLEXCLUSIVE`).
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub fn watch_shared(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        Ok(self.epoll.add(fd, EpollEvent::new(events, fd.as_raw_fd() as u64))?)
    }

    pub fn unwatch(&self, fd: BorrowedFd<'_>) {
        let _ = self.epoll.delete(fd);
    }

    /// Waits until a watched descriptor or a connection is readable; each event's data is the descriptor's number.
    ///
    /// # Errors
    /// Those of epoll_wait(2).
    pub fn wait(&self, events: &mut [EpollEvent]) -> nix::Result<usize> {
        self.epoll.wait(events, EpollTimeout::NONE)
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the connection may keep a descriptor while its client is waited for. If descriptors are scarce, the oldest
    /// lingering connection is closed to make room.
    pub fn make_room_for(&self, connection: &mut Connection) -> bool {
        let may_stay = |stream: &OwnedFd| self.shared.descriptors.may_be_held(stream.as_raw_fd());
        if may_stay(&connection.stream) {
            return true;
        }
        let mut set = self.set();
        if self.close_oldest_lingering(&mut set)
            && let Ok(lower) = connection.stream.try_clone()
            && may_stay(&lower)
        {
            connection.stream = lower;
            return true;
        }
        false
    }

    /// Returns whether there was a lingering connection to close.
    fn close_oldest_lingering(&self, set: &mut Set) -> bool {
        let Some(&(_, fd)) = set.lingering.first() else { return false };
        let Some(slow) = set.remove(fd) else { return false };
        slow.drain();
        self.close(set, slow);
        true
    }

    fn close(&self, set: &Set, slow: SlowConnection) {
        // Explicitly, because a handler may have the same socket, and then closing our descriptor does not end the watch.
        let _ = self.epoll.delete(slow.connection.stream.as_fd());
        self.count_lingering(set);
        drop(slow);
        subtract(&self.shared.row().open, 1);
        self.shared.pending.fetch_sub(1, SeqCst);
    }

    fn count_lingering(&self, set: &Set) {
        self.shared.row().lingering.store(set.lingering.len() as u64, Relaxed);
    }

    /// With `--max-connections`, as many connections may linger as may wait, divided among the workers.
    fn most_lingering(&self) -> usize {
        let settings = &self.shared.settings;
        let share = |most| usize::try_from(most).unwrap_or(usize::MAX) / settings.workers;
        settings.max_connections.map_or(usize::MAX, |most| share(most).max(LEAST_LINGERING))
    }

    /// Adds a connection. If the system has no memory to watch it, it is closed.
    pub fn add(&self, slow: SlowConnection) {
        let mut set = self.set();
        if slow.is_answered() && set.lingering.len() >= self.most_lingering() {
            self.close_oldest_lingering(&mut set);
        }
        self.shared.timer.arm(slow.deadline, GRAIN);
        // Watched before it is inserted: the second thread may wake at once, and waits for the lock to find the connection.
        match self.watch(slow.connection.stream.as_fd()) {
            Ok(()) => {
                self.shared.pending.fetch_add(1, SeqCst);
                set.insert(slow);
                self.count_lingering(&set);
            }
            Err(error) => {
                tracing::warn!(peer = %Shown(slow.connection.peer), "cannot watch a slow connection, closing it: {error}");
                subtract(&self.shared.row().open, 1);
            }
        }
    }

    /// The worker stops: clients that have sent nothing, or have their answer, get [`HURRY`] at most.
    pub fn hurry(&self) {
        let mut set = self.set();
        let soon = Instant::now() + HURRY;
        let done = |slow: &SlowConnection| slow.is_idle() || slow.is_answered();
        let idle = set.by_fd.values_mut().filter(|slow| done(slow) && slow.deadline > soon);
        idle.for_each(|slow| slow.deadline = soon);
        self.shared.timer.arm(soon, GRAIN);
    }

    /// Takes a connection out to work on it; [`put_back`](Self::put_back) ends that.
    pub fn take(&self, fd: RawFd) -> Option<SlowConnection> {
        self.set().remove(fd)
    }

    /// Takes out the connections whose deadline has passed, and arms the timer for the others.
    pub fn take_expired(&self, now: Instant) -> Vec<SlowConnection> {
        let mut set = self.set();
        let expired = |slow: &SlowConnection| slow.deadline <= now;
        let fds: Vec<RawFd> = set.by_fd.iter().filter(|(_, slow)| expired(slow)).map(|(fd, _)| *fd).collect();
        let expired = fds.iter().filter_map(|&fd| set.remove(fd)).collect();
        let next = set.by_fd.values().map(|slow| slow.deadline).min();
        next.inspect(|next| self.shared.timer.arm(*next, GRAIN));
        expired
    }

    /// Keeps or closes a connection that was taken out.
    pub fn put_back(&self, slow: SlowConnection, progress: Progress) {
        let mut set = self.set();
        if progress == Progress::Waiting {
            self.shared.timer.arm(slow.deadline, GRAIN);
            set.insert(slow);
            self.count_lingering(&set);
            return;
        }
        self.close(&set, slow);
    }
}
