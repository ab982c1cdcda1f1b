//! The epoll shape: a non-blocking socket in a worker's own epoll instance. Shared by the strategies that differ only in
//! how they register it; it knows nothing of turns or of who should accept.
//!
//! The sockets belong to all workers, and O_NONBLOCK with them: a worker that waits this way makes them non-blocking.
//! epoll_wait itself is what waits, never poll() on the epoll descriptor: to the socket's wait queue only a sleeper in
//! epoll_wait counts as awake, and an exclusive wake-up goes on to the next worker if there is none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use std::sync::Arc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Accepted, Acceptor, Seat, Strategy, socket};
use crate::scoreboard::{Row, add};
use crate::sys::signal::Interruptible;
use crate::sys::{epoll, net};

/// Plain registration: a connection wakes every worker that waits.
pub const ALL: EpollFlags = EpollFlags::EPOLLIN;
/// Exclusive registration: it wakes the first in the order of registration that waits.
pub const ONE: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLEXCLUSIVE);

/// What an event of the bell carries; those of a socket carry 0.
const BELL: u64 = u64::MAX;

/// Waits on the alias of an epoll instance for one event, or for this many ms (-1: for ever), and returns its data.
///
/// # Errors
/// `Interrupted` after a signal, also one that came before the wait.
pub fn wait(alias: &Interruptible, timeout_ms: i32) -> io::Result<Option<u64>> {
    match epoll::wait_one(alias.as_fd(), timeout_ms) {
        // The alias is /dev/null by now.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(io::ErrorKind::Interrupted.into()),
        event => event,
    }
}

/// A socket, an epoll instance, and the alias of the latter that a signal ends the wait on.
#[derive(Debug)]
pub struct Watch {
    epoll: Epoll,
    alias: Interruptible,
    listener: OwnedFd,
    flags: EpollFlags,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn new(listener: BorrowedFd<'_>, flags: EpollFlags) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        net::set_nonblocking(listener, true)?;
        let alias = Interruptible::new(epoll.0.as_fd())?;
        Ok(Self { epoll, alias, listener: listener.try_clone_to_owned()?, flags })
    }

    /// Registers the socket: at the end of its wait queue, or with [`ALL`] at the head.
    ///
    /// # Errors
    /// `EEXIST`, `ENOMEM`, `ENOSPC`.
    pub fn add(&self) -> io::Result<()> {
        Ok(self.epoll.add(&self.listener, EpollEvent::new(self.flags, 0))?)
    }

    /// Takes the socket out.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn remove(&self) -> io::Result<()> {
        Ok(self.epoll.delete(&self.listener)?)
    }

    /// Waits for a connection, or for this many ms (-1: for ever). `false` when there is none.
    ///
    /// # Errors
    /// `Interrupted` after a signal, also one that came before the wait.
    pub fn wait(&self, timeout_ms: i32) -> io::Result<bool> {
        Ok(wait(&self.alias, timeout_ms)?.is_some())
    }

    /// Accepts without waiting; `None` when there is nothing.
    ///
    /// # Errors
    /// Those of accept4(2).
    pub fn take(&self) -> io::Result<Option<Accepted>> {
        socket::take(self.listener.as_fd())
    }
}

/// The supervisor's side of the strategies with exclusive registrations. A connection wakes one worker, and if that one is
/// stopped before it accepts, no other knows of it. The supervisor sees the stop and rings a bell, which wakes one that waits:
/// it looks into the queue. The bell is level-triggered, so a ring that finds all busy is heard by the first that comes back.
#[derive(Debug)]
pub struct Exclusive {
    bell: Arc<EventFd>,
    rearm: u64,
}

impl Exclusive {
    /// Workers register once, or anew after every `rearm` connections.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn open(rearm: u64) -> io::Result<Box<dyn Strategy>> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Box::new(Self { bell: Arc::new(bell), rearm }))
    }
}

impl Strategy for Exclusive {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        let watching = Watching::new(seat.sockets[0].as_fd(), ONE, self.rearm)?;
        watching.watch.epoll.add(&self.bell, EpollEvent::new(ONE, BELL))?;
        Ok(Box::new(Watching { bell: Some(Arc::clone(&self.bell)), ..watching }))
    }

    fn gone(&self, _worker: usize) {
        // It fails only when the counter is full, and then it rings already.
        let _ = self.bell.write(1);
    }
}

/// The worker's side of the strategies that wait in epoll for as long as it takes.
#[derive(Debug)]
pub struct Watching {
    watch: Watch,
    /// Goes to the end of the wait queue after this many connections; 0 is never.
    rearm: u64,
    /// Connections since then.
    since: u64,
    /// Rings when a worker that was woken may not have come.
    bell: Option<Arc<EventFd>>,
}

impl Watching {
    /// Accepts from `listener`, registered once and for all.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn acceptor(listener: BorrowedFd<'_>, flags: EpollFlags) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(Self::new(listener, flags, 0)?))
    }

    fn new(listener: BorrowedFd<'_>, flags: EpollFlags, rearm: u64) -> io::Result<Self> {
        let watch = Watch::new(listener, flags)?;
        watch.add()?;
        Ok(Self { watch, rearm, since: 0, bell: None })
    }
}

impl Acceptor for Watching {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        if self.rearm > 0 && self.since >= self.rearm {
            self.watch.remove()?;
            self.watch.add()?;
            self.since = 0;
        }
        loop {
            match wait(&self.watch.alias, -1)? {
                None => continue,
                Some(BELL) => self.bell.iter().for_each(|bell| {
                    // Another worker may have read it first.
                    let _ = bell.read();
                }),
                Some(_) => {}
            }
            add(&row.wakeups, 1);
            if let Some(accepted) = self.watch.take()? {
                self.since += 1;
                return Ok(accepted);
            }
            add(&row.empty_wakeups, 1);
        }
    }

    fn more(&mut self, _row: &Row) -> io::Result<Option<Accepted>> {
        let more = self.watch.take()?;
        self.since += u64::from(more.is_some());
        Ok(more)
    }
}
