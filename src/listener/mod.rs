//! The listener layer: which worker gets the next connection.
//!
//! # The contract
//!
//! A **strategy** is one file with two sides. The supervisor's side ([`Strategy`]) is made once per generation of workers,
//! before they are forked, so that whatever it maps is shared by all of them. The worker's side ([`Acceptor`]) is made
//! by [`Strategy::acceptor`] in the worker itself, and is the only thing there that waits for connections.
//!
//! Listening **sockets** belong to the instance, not to a strategy or a worker: every worker inherits all of them, the
//! supervisor parks a copy, and they stay open until the instance ends. A strategy says how many there are
//! ([`SocketCount`]: one, or one per worker) and which of them a worker accepts from. So whoever dies, the queue lives.
//! A stop leads new connections to a socket of its own, the [`sink`]; no strategy has to know.
//!
//! What every strategy must keep, and `tests/listener/contract` tries on each:
//! 1. Every connection is accepted exactly once.
//! 2. No connection that waits in an accept queue is lost when a worker dies, is stopped, or leaves in a reload.
//! 3. [`Acceptor::accept`] returns `Interrupted` soon after a stop signal, also if it came just before the wait: wait only
//!    on [`Interruptible`](crate::sys::signal::Interruptible) descriptors.
//! 4. Decide *before* the wait whether to accept: a connection that woke a worker is taken by it.
//! 5. A worker that dies, is stopped, or leaves takes nothing along that others wait for: [`Strategy::gone`] and
//!    [`Acceptor::leave`] give it back.
//! 6. What its line in the table promises ([`Promises`]): the distribution over idle workers, what waits for a busy worker
//!    or a stopped one, and what is lost by a crash or a departure.
//! 7. What the kernel or the permissions lack is told before the start ([`Entry::available`]), never found out by a worker.
//!
//! Both sides are trait objects: a virtual call is nothing beside `accept()`.
//!
//! To add a strategy: write its file, add its line to [`STRATEGIES`].

pub mod choice;
mod handing;
pub mod promises;
mod siblings;
pub mod sink;
pub mod socket;
pub mod table;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

pub use choice::{Argument, Choice};
pub use promises::{Loss, Promises, Spread, Wait};
pub use siblings::Siblings;

use crate::scoreboard::Row;

/// Declares the modules of the strategies, and the table of them in the same order.
macro_rules! strategies {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every strategy, in the order in which people see them. The first is the default.
        pub const STRATEGIES: &[Entry] = &[$($module::ENTRY),*];
    };
}

strategies! {
    inherited,
    inherited_herd,
    inherited_exclusive,
    inherited_rearm,
    inherited_delay,
    inherited_mutex,
    reuseport,
    reuseport_cbpf,
    reuseport_steal,
    round_robin,
    dispatch,
    least_loaded,
    uring,
    uring_multishot,
}

/// One line of the table.
#[derive(Debug)]
pub struct Entry {
    /// As in `--listener NAME`.
    pub name: &'static str,
    /// What may follow the colon.
    pub argument: Argument,
    /// How many listening sockets it needs with an argument.
    pub sockets: fn(argument: &str) -> SocketCount,
    /// What it promises with an argument.
    pub promises: fn(argument: &str) -> Promises,
    /// Whether [`Acceptor::more`] can take several connections per wake-up (`--accept-batch`).
    pub batches: bool,
    /// Whether it looks at [`Row::running`], so that workers have to count their handlers.
    pub counts_handlers: bool,
    /// What its process beside the workers is called, if it has one ([`Strategy::auxiliary`]).
    pub auxiliary: Option<&'static str>,
    /// Who gets the next connection, in one line for the user.
    pub summary: &'static str,
    /// Whether kernel and permissions are enough for it; else what is missing.
    pub available: fn(argument: &str) -> Result<(), String>,
    /// Makes the supervisor's side for so many workers; the argument was checked.
    pub open: fn(argument: &str, workers: usize) -> io::Result<Box<dyn Strategy>>,
}

impl Entry {
    /// What most strategies are, to be written as `..Entry::USUAL`: one socket, no argument, available everywhere.
    const USUAL: Self = Self {
        name: "",
        argument: Argument::None,
        sockets: |_| SocketCount::One,
        promises: |_| Promises::USUAL,
        batches: false,
        counts_handlers: false,
        auxiliary: None,
        summary: "",
        available: |_| Ok(()),
        open: |_, _| Err(io::ErrorKind::Unsupported.into()),
    };
}

/// How many listening sockets an instance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCount {
    /// One, whatever the number of workers.
    One,
    /// One for each worker, in one reuseport group.
    PerWorker,
    /// One for each worker, in one reuseport group, that this worker alone opens and holds: the instance's own socket
    /// is bound, so that the port is taken, and listens no more.
    Private,
}

impl SocketCount {
    /// The number for so many workers.
    pub fn of(self, workers: usize) -> usize {
        match self {
            Self::One | Self::Private => 1,
            Self::PerWorker => workers,
        }
    }

    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::PerWorker => "one per worker, held by all",
            Self::Private => "one per worker, held by it alone",
        }
    }
}

/// The supervisor's side of a strategy, for one generation of workers.
pub trait Strategy: fmt::Debug {
    /// Called in the supervisor once, before it forks the first process of the generation. All listening sockets are lent
    /// for this call: a strategy may register them in an epoll instance that its workers inherit, set options, attach a
    /// program. It must not keep a copy, or the port stays taken when the instance has stopped. The descriptors are closed
    /// afterwards, and workers get others for the same sockets: so a registration that is made here stays for as long as the
    /// socket does, but workers cannot change it (epoll(7) finds it by socket and descriptor number).
    ///
    /// # Errors
    /// What it cannot get from the system: the generation is given up.
    fn prepare(&self, sockets: &[OwnedFd]) -> io::Result<()> {
        let _ = sockets;
        Ok(())
    }

    /// Makes the worker's side. Called in the worker, after the fork.
    ///
    /// # Errors
    /// What the worker cannot get from the system; it is fatal for the start.
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>>;

    /// Makes what runs in the process beside the workers, where the table names one. Called in that process, after the
    /// fork, also in a successor of it.
    ///
    /// # Errors
    /// What it cannot get from the system; it is fatal for the start.
    fn auxiliary(&self, seat: Seat<'_>) -> io::Result<Box<dyn Auxiliary>> {
        let _ = seat;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Called in the supervisor when `worker` has died or was stopped (SIGSTOP), and again now and then while it is: pass on
    /// what only it held.
    fn gone(&self, worker: usize) {
        let _ = worker;
    }

    /// Called in the supervisor when no process of this generation is left: connections that were accepted for one of them
    /// and that none has taken.
    fn left_behind(&self) -> Vec<Accepted> {
        Vec::new()
    }

    /// Called in the supervisor: connections that an earlier generation has left behind are for workers of this one.
    fn take_over(&self, connections: Vec<Accepted>) {
        let _ = connections;
    }

    /// Called in the supervisor when `worker` goes on after a stop (SIGCONT).
    fn back(&self, worker: usize) {
        let _ = worker;
    }
}

/// A supervisor's side that has nothing to share: the worker's is all there is.
#[derive(Debug)]
struct Stateless(fn(Seat<'_>) -> io::Result<Box<dyn Acceptor>>);

impl Strategy for Stateless {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        (self.0)(seat)
    }
}

/// A worker's place among its fellows.
#[derive(Debug)]
pub struct Seat<'a> {
    /// Its number, from 0 to `workers - 1`.
    pub worker: usize,
    /// How many workers the generation has.
    pub workers: usize,
    /// All listening sockets of the instance: at least as many as the strategy asked for, more after workers became fewer.
    pub sockets: &'a [OwnedFd],
    /// How the instance's sockets are made, for a strategy whose workers open some of their own.
    pub terms: socket::Terms,
    /// The rows of all workers of the generation.
    pub siblings: Siblings,
}

/// The worker's side of a strategy.
pub trait Acceptor: fmt::Debug + Send {
    /// Waits until a connection is this worker's, and accepts it. Counts wake-ups in `row`.
    ///
    /// # Errors
    /// `Interrupted` after a signal: look at it, then call again or leave. Others are those of `accept4(2)`.
    fn accept(&mut self, row: &Row) -> io::Result<Accepted>;

    /// One connection more without waiting, if there is one: asked for after each [`accept`](Self::accept), as often as
    /// `--accept-batch` says, before any of them is served.
    ///
    /// # Errors
    /// Those of `accept4(2)`.
    fn more(&mut self, row: &Row) -> io::Result<Option<Accepted>> {
        let _ = row;
        Ok(None)
    }

    /// The worker will not call `accept` again but goes on living: give back what others may wait for. Returns connections
    /// that were accepted for it and that it has not seen yet.
    fn leave(&mut self, row: &Row) -> Vec<Accepted> {
        let _ = row;
        Vec::new()
    }
}

/// The side of a strategy that runs in a process of its own beside the workers. The supervisor watches it as it does
/// workers, replaces it when it dies or is stopped, and lets the workers of its generation leave after it has left.
pub trait Auxiliary: fmt::Debug {
    /// Waits for the next piece of its work, and does it. Counts in `row`.
    ///
    /// # Errors
    /// `Interrupted` after a signal: look at it, then call again or leave. After others it is called again.
    fn step(&mut self, row: &Row) -> io::Result<()>;

    /// It will not be called again: give away what it has in hand.
    fn leave(&mut self) {}
}

/// A connection just accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection: blocking, close-on-exec.
    pub stream: OwnedFd,
    /// The client's address.
    pub peer: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        for (index, entry) in STRATEGIES.iter().enumerate() {
            assert!(STRATEGIES[index + 1..].iter().all(|other| other.name != entry.name), "{}", entry.name);
        }
    }
}
