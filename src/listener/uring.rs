//! `uring`: one socket; every worker waits in io_uring for one accept at a time.
//!
//! Mechanism: IORING_OP_ACCEPT polls the socket with an exclusive entry in its wait queue (`io_uring/net.c`), removed when it
//! fires and put at the tail when it is armed anew, with the wait itself: the worker that has waited longest. A busy worker
//! has nothing armed. One system call per connection (io_uring_enter), which also brings the client's address.
//! Promises: exact turn while workers are idle; work conservation; no loss on a crash; a worker that leaves takes its accept
//! back, and serves what came out of it and what waits just then: it may have had the wake-ups of those.
//! Does not promise anything about a worker that is stopped while it waits: the entry counts as awake (`io_poll_wake` returns 1
//! whatever the worker does), so the connection that woke it waits until it goes on, or until another connection comes,
//! whose worker then takes the older one.
//! Where a kernel or a sandbox forbids io_uring (many containers do) it says so at the start.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use super::{Accepted, Acceptor, Advice, Entry, Promises, Seat, Stateless, Wait};
use crate::scoreboard::{Row, add};
use crate::sys::signal::{Interruptible, stopped};
use crate::sys::uring::{AcceptRing, Outcome};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "uring",
    promises: |_| Promises { stopped: Wait::One, calls: &["io_uring_enter"], ..Promises::USUAL },
    advice: |_| Advice {
        take: "you study io_uring: it spreads as inherited does",
        avoid: "a sandbox forbids io_uring, or workers may be stopped (SIGSTOP)",
    },
    summary: "io_uring, one accept at a time: the worker that has waited longest",
    available: |_| probe(false),
    open: |_, _| Ok(Box::new(Stateless(|seat| Ring::acceptor(&seat, false)))),
    ..Entry::USUAL
};

/// A worker that leaves takes along what waits, in this many rounds at most: by then so much has come that others were woken.
const CLEAR: usize = 256;

/// Whether io_uring accepts connections here: tried on a socket of its own.
///
/// # Errors
/// What is missing.
pub(super) fn probe(multishot: bool) -> Result<(), String> {
    let accept = || -> io::Result<()> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut ring = AcceptRing::new(listener.as_fd(), multishot)?;
        let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
        let own = ring.as_fd().try_clone_to_owned()?;
        loop {
            ring.wait(own.as_fd())?;
            if let Some(outcome) = ring.take() {
                outcome?;
                return ring.close().map(drop);
            }
        }
    };
    accept().map_err(|error| match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring".into(),
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or the sandbox)".into()
        }
        Some(libc::EINVAL) if multishot => "this kernel has no multishot accept; it needs Linux 5.19".into(),
        _ => format!("io_uring: {error}"),
    })
}

/// A worker's ring.
#[derive(Debug)]
pub(super) struct Ring {
    ring: AcceptRing,
    alias: Interruptible,
}

impl Ring {
    /// Accepts from the one socket.
    ///
    /// # Errors
    /// Those of io_uring_setup(2).
    pub fn acceptor(seat: &Seat<'_>, multishot: bool) -> io::Result<Box<dyn Acceptor>> {
        let ring = AcceptRing::new(seat.sockets[0].as_fd(), multishot)?;
        let alias = Interruptible::new(ring.as_fd())?;
        Ok(Box::new(Self { ring, alias }))
    }
}

fn accepted(outcome: Outcome) -> io::Result<Accepted> {
    outcome.map(|(stream, peer)| Accepted { stream, peer })
}

impl Acceptor for Ring {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        loop {
            // Multishot may have brought more than one.
            if let Some(outcome) = self.ring.take() {
                return accepted(outcome);
            }
            let waited = self.ring.wait(self.alias.as_fd());
            if stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            waited?;
            add(&row.wakeups, 1);
            match self.ring.take() {
                Some(outcome) => return accepted(outcome),
                None => add(&row.empty_wakeups, 1),
            }
        }
    }

    fn more(&mut self, _row: &Row) -> io::Result<Option<Accepted>> {
        self.ring.take().map(accepted).transpose()
    }

    fn leave(&mut self, _row: &Row) -> Vec<Accepted> {
        let rest = self.ring.clear(CLEAR).unwrap_or_default();
        rest.into_iter().map(|(stream, peer)| Accepted { stream, peer }).collect()
    }
}
