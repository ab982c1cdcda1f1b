//! What the supervisor remembers of handlers: the sessions that may hold some, and during a stop those that still run.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::unistd::{Pid, getpid};

use crate::server::keeper::census::is_first;
use crate::sys::fork;
use crate::sys::proctable::{self, Process};

/// Sessions that are remembered before those without a process are looked for.
const FEW_SESSIONS: usize = 64;
/// A killed process needs a moment to end.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// What the supervisor remembers of handlers.
#[derive(Debug, Default)]
pub(super) struct Handlers {
    /// The sessions that workers began and that may still have processes: a handler stays in its worker's.
    pub known: BTreeSet<Pid>,
    /// At how many of them the empty ones are forgotten.
    prune_at: usize,
    /// During a stop, once looked up: the handlers that still run, by their first processes.
    pub awaited: Option<BTreeSet<Pid>>,
    /// Some were killed, and are to be reaped.
    pub killed: bool,
}

impl Handlers {
    /// A worker was forked and leads a session.
    pub fn session(&mut self, leader: Pid) {
        if self.known.len() >= self.prune_at.max(FEW_SESSIONS)
            && let Ok(all) = proctable::processes()
        {
            self.known.retain(|session| all.iter().any(|one| one.session == *session));
            self.prune_at = 2 * self.known.len();
        }
        self.known.insert(leader);
    }

    /// The sessions that may have handlers.
    pub fn sessions(&self) -> impl Iterator<Item = Pid> {
        self.known.iter().copied()
    }

    /// A child ended that is not one of the staff.
    pub fn ended(&mut self, pid: Pid) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&pid);
        }
    }

    /// Reaps those that were killed, so that none is left to whatever process adopts the children of the supervisor.
    pub fn reap_killed(&self) {
        if self.killed {
            fork::await_children(LAST_WAIT);
        }
    }

    /// The first processes of handlers in the process table.
    pub fn first<'a>(&self, all: &'a [Process]) -> impl Iterator<Item = Pid> + use<'a, '_> {
        let own = getpid();
        let first = move |one: &&Process| self.known.contains(&one.session) && is_first(one, own);
        all.iter().filter(first).map(|one| one.pid)
    }
}
