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
//!
//! What every strategy must keep, and `tests/contract.rs` tries on each:
//! 1. Every connection is accepted exactly once.
//! 2. No connection that waits in an accept queue is lost when a worker dies, is stopped, or leaves in a reload.
//! 3. [`Acceptor::accept`] returns `Interrupted` soon after a stop signal, also if it came just before the wait: wait only
//!    on [`Interruptible`](crate::sys::signal::Interruptible) descriptors.
//! 4. Decide *before* the wait whether to accept: a connection that woke a worker is taken by it.
//! 5. A worker that dies, is stopped, or leaves takes nothing along that others wait for: [`Strategy::gone`] and
//!    [`Acceptor::leave`] give it back.
//! 6. The distribution that the table below promises, with idle workers.
//!
//! Both sides are trait objects: a virtual call is nothing beside `accept()`.
//!
//! To add a strategy: write its file, add its line to [`STRATEGIES`].

mod inherited;
mod reuseport;
mod round_robin;
pub mod socket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use crate::scoreboard::Row;

/// The strategies: the one place where they are registered.
pub const STRATEGIES: &[Entry] = &[inherited::ENTRY, reuseport::ENTRY, round_robin::ENTRY];

/// One line of the table.
#[derive(Debug)]
pub struct Entry {
    /// As in `--listener NAME`.
    pub name: &'static str,
    /// The arguments that may follow the colon; the first is what the bare name means.
    pub arguments: &'static [&'static str],
    /// How many listening sockets it needs.
    pub sockets: SocketCount,
    /// How connections fall on idle workers.
    pub spread: Spread,
    /// Whether a worker that is busy or stuck leaves the other workers' connections alone *and* gets none itself.
    pub work_conserving: bool,
    /// Who gets the next connection, in one line for the user.
    pub summary: &'static str,
    /// Makes the supervisor's side for so many workers; the argument is one of `arguments`.
    pub open: fn(argument: &str, workers: usize) -> io::Result<Box<dyn Strategy>>,
}

/// How many listening sockets an instance has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCount {
    /// One, whatever the number of workers.
    One,
    /// One for each worker, in one reuseport group.
    PerWorker,
}

impl SocketCount {
    /// The number for so many workers.
    pub fn of(self, workers: usize) -> usize {
        match self {
            Self::One => 1,
            Self::PerWorker => workers,
        }
    }
}

/// How the connections of a quiet time fall on idle workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// In turn: after n connections no two workers' counts differ by more than 1.
    Turn,
    /// By a hash of addresses and ports: even in the mean, a multinomial.
    Hash,
}

/// The supervisor's side of a strategy, for one generation of workers.
pub trait Strategy: fmt::Debug {
    /// Makes the worker's side. Called in the worker, after the fork.
    ///
    /// # Errors
    /// What the worker cannot get from the system; it is fatal for the start.
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>>;

    /// Called in the supervisor when `worker` has died or was stopped (SIGSTOP): pass on what only it held.
    fn gone(&self, worker: usize) {
        let _ = worker;
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
}

/// The worker's side of a strategy.
pub trait Acceptor: fmt::Debug + Send {
    /// Waits until a connection is this worker's, and accepts it. Counts wake-ups in `row`.
    ///
    /// # Errors
    /// `Interrupted` after a signal: look at it, then call again or leave. Others are those of `accept4(2)`.
    fn accept(&mut self, row: &Row) -> io::Result<Accepted>;

    /// The worker will not call `accept` again but goes on living: give back what others may wait for.
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

/// A strategy as the user names it: `NAME[:ARG]`, checked against the table.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Its line in the table.
    pub entry: &'static Entry,
    /// One of the entry's arguments, or empty where it takes none.
    pub argument: &'static str,
}

impl Choice {
    /// Makes the supervisor's side.
    ///
    /// # Errors
    /// What the strategy cannot get from the system.
    pub fn open(&self, workers: usize) -> io::Result<Box<dyn Strategy>> {
        (self.entry.open)(self.argument, workers)
    }
}

impl Default for Choice {
    fn default() -> Self {
        Self { entry: &STRATEGIES[0], argument: "" }
    }
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name && self.argument == other.argument
    }
}

impl Eq for Choice {}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, argument) =
            text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let Some(entry) = STRATEGIES.iter().find(|entry| entry.name == name) else {
            let known: Vec<_> = STRATEGIES.iter().map(|entry| entry.name).collect();
            return Err(format!("no listener strategy '{name}'; there are: {}", known.join(", ")));
        };
        let Some(argument) = argument else {
            return Ok(Self { entry, argument: entry.arguments.first().copied().unwrap_or("") });
        };
        match entry.arguments.iter().find(|known| **known == argument) {
            Some(argument) => Ok(Self { entry, argument }),
            None if entry.arguments.is_empty() => {
                Err(format!("listener strategy '{name}' takes no argument"))
            }
            None => Err(format!("listener strategy '{name}' takes one of: {}", entry.arguments.join(", "))),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = self.entry.arguments.first().copied().unwrap_or("");
        if self.argument == default {
            f.write_str(self.entry.name)
        } else {
            write!(f, "{}:{}", self.entry.name, self.argument)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_and_written_the_same() {
        for text in ["inherited", "reuseport", "round-robin", "round-robin:wait"] {
            assert_eq!(text.parse::<Choice>().unwrap().to_string(), text);
        }
        assert_eq!("round-robin:skip".parse::<Choice>(), "round-robin".parse::<Choice>());
    }

    #[test]
    fn a_wrong_choice_says_what_there_is() {
        assert!("lifo".parse::<Choice>().unwrap_err().contains("inherited, reuseport, round-robin"));
        assert!("inherited:x".parse::<Choice>().unwrap_err().contains("takes no argument"));
        assert!("round-robin:x".parse::<Choice>().unwrap_err().contains("skip, wait"));
    }

    #[test]
    fn every_name_is_there_once() {
        for (index, entry) in STRATEGIES.iter().enumerate() {
            assert!(STRATEGIES[index + 1..].iter().all(|other| other.name != entry.name), "{}", entry.name);
        }
    }
}
