//! The listener layer: which worker gets the next connection.
//!
//! `README.md` beside this file lists the strategies, says which one to take, and has the checklist for adding one.
//!
//! # The contract
//!
//! A **strategy** is one file with two sides. The supervisor's side ([`Strategy`]) is made once per generation of workers,
//! before they are forked, so all of them share whatever it maps; the sockets are lent to it for a moment
//! ([`Strategy::prepare`]). The worker's side ([`Acceptor`]) is made by [`Strategy::acceptor`] in the worker, and is the only
//! thing there that waits for connections. Both sides are trait objects: a virtual call costs nothing beside `accept()`.
//!
//! Listening **sockets** belong to the instance, not to a strategy or a worker: every worker inherits all of them, the
//! supervisor parks a copy, and they stay open until the instance ends. So a queue survives the death of any process. A strategy
//! says how many sockets there are ([`SocketCount`]) and from which of them a worker accepts. A stop diverts new connections to a
//! socket of its own, the [`sink`]; strategies need not know.
//!
//! Every strategy must keep these rules, and the contract suite (`tests/listener/contract`) tries them on each:
//! 1. Every connection is accepted exactly once.
//! 2. No connection in an accept queue is lost when a worker dies, is stopped, or leaves in a reload.
//! 3. [`Acceptor::accept`] returns `Interrupted` soon after a stop signal, also if it came just before the wait: wait only
//!    on [`Interruptible`](crate::sys::signal::Interruptible) descriptors.
//! 4. Decide *before* the wait whether to accept: a worker takes the connection that woke it.
//! 5. A worker that dies, is stopped, or leaves keeps nothing that others need, a wake-up included: [`Strategy::gone`] and
//!    [`Acceptor::leave`] give it back. The suite kills and stops workers between the wake-up and the accept.
//! 6. With [`Entry::batches`], n waiting connections cost one worker exactly n / `--accept-batch` wake-ups: `accept` takes one
//!    and [`Acceptor::more`] the rest, without waiting.
//! 7. Its entry's [`Promises`] hold: the spread over idle workers, what waits for a busy or a stopped worker, what a crash or
//!    a departure loses, and the system calls per connection.
//! 8. [`Entry::available`] reports what the kernel or the permissions lack, before the start; workers never find it out.
//!
//! # What is easy to miss
//!
//! - **Two generations wait on the same sockets** from the moment a reload's new workers start until the last old one has
//!   left: two epoll instances, two locks, two sets of shared memory. Neither may assume that it sees every connection, and a
//!   wake-up that goes to a worker about to leave must be passed on.
//! - **`O_NONBLOCK` belongs to the socket**, so all processes share it. A strategy that makes a socket non-blocking does so for
//!   workers of another generation that block in accept(); [`socket::accept`] handles both. A stop makes all of them
//!   non-blocking.
//! - **Descriptor numbers differ** from worker to worker and in a replacement. Identify a socket by its index in
//!   [`Seat::sockets`], never by a number in shared memory.
//! - **A replacement gets its predecessor's number** ([`Seat::worker`]) and finds the shared memory as the predecessor
//!   left it, at any instruction.
//! - **[`Strategy::gone`] is called again and again**, about every 100 ms while a worker is stopped or dead, and for the same
//!   worker. It must be cheap and idempotent. A stopped worker may continue at any moment, in the middle of anything, without
//!   noticing that `gone` was called.
//! - **More sockets than workers** after a reload with fewer workers: each worker serves those with its number modulo
//!   [`Seat::workers`].
//!
//! Start from `inherited_exclusive.rs` (nothing shared but an eventfd), `inherited_mutex.rs` (state in shared memory) or
//! `dispatch.rs` (a process of its own beside the workers). `CONTRACT_OF=NAME cargo test contract` tries one strategy in seconds,
//! and says which connections wait and where each worker sleeps when one is forgotten.

pub mod address;
pub mod advice;
pub mod choice;
mod dispatcher;
pub mod promises;
mod siblings;
pub mod sink;
pub mod socket;
pub mod table;
pub mod unix;
mod watch;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

pub use advice::Advice;
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
    /// When to take it with an argument, and when not.
    pub advice: fn(argument: &str) -> Advice,
    /// Whether [`Acceptor::more`] can take several connections per wake-up (`--accept-batch`). Then it takes every connection
    /// that waits, up to that number: n connections cost exactly n / `--accept-batch` wake-ups.
    pub batches: bool,
    /// Whether it looks at [`Row::running`], so that workers have to count their handlers.
    pub counts_handlers: bool,
    /// What its process beside the workers is called, if it has one ([`Strategy::auxiliary`]).
    pub auxiliary: Option<&'static str>,
    /// Who gets the next connection, in one line for the user.
    pub summary: &'static str,
    /// Whether kernel and permissions are enough for it; else what is missing.
    pub available: fn(argument: &str) -> Result<(), String>,
    /// Makes the supervisor's side for this many workers; the argument is checked.
    pub open: fn(argument: &str, workers: usize) -> io::Result<Box<dyn Strategy>>,
}

impl Entry {
    /// What most strategies are, to be written as `..Entry::USUAL`: one socket, no argument, available everywhere.
    const USUAL: Self = Self {
        name: "",
        argument: Argument::None,
        sockets: |_| SocketCount::One,
        promises: |_| Promises::USUAL,
        advice: |_| Advice::NONE,
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
    /// The number for this many workers.
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

    /// Called in the supervisor when `worker` has died or was stopped (SIGSTOP), and again about every 100 ms while it is: pass
    /// on what only it held, a wake-up included. A stopped worker may continue at any time.
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

    /// Takes one more connection without waiting. Called after each [`accept`](Self::accept) until `--accept-batch` are taken,
    /// `None` or an error comes, or the worker runs out of descriptors, and before any of them is served. The strategy is not told
    /// where the batch ends: the next call is `accept` or `leave`. So `accept` itself must give back what others need, as
    /// `inherited-mutex` does with its lock.
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

    #[test]
    fn every_strategy_says_when_to_take_it() {
        for choice in Choice::all() {
            let Advice { take, avoid } = (choice.entry.advice)(&choice.argument);
            for text in [take, avoid] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{choice}: {text:?}");
            }
        }
    }
}
