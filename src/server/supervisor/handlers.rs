//! What the supervisor remembers of handlers: the sessions that may hold some, and during a stop those that still run.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::unistd::{Pid, getpid};

use crate::server::keeper::census::is_first;
use crate::sys::fork;
use crate::sys::proctable::{self, Process};

/// Remember this many sessions before looking for empty ones.
const FEW_SESSIONS: usize = 64;
/// Time for a killed process to end.
const LAST_WAIT: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Handlers {
    /// Sessions of workers that may still hold processes: a handler stays in its worker's session.
    pub known: BTreeSet<Pid>,
    /// Number of sessions at which empty ones are removed.
    prune_at: usize,
    /// During a stop, once known: first processes of the handlers that still run.
    pub awaited: Option<BTreeSet<Pid>>,
    /// Handlers were killed and must be reaped.
    pub killed: bool,
}

impl Handlers {
    /// Adds the session of a new worker.
    pub fn session(&mut self, leader: Pid) {
        if self.known.len() >= self.prune_at.max(FEW_SESSIONS)
            && let Ok(all) = proctable::processes()
        {
            self.known.retain(|session| all.iter().any(|one| one.session == *session));
            self.prune_at = 2 * self.known.len();
        }
        self.known.insert(leader);
    }

    pub fn sessions(&self) -> impl Iterator<Item = Pid> {
        self.known.iter().copied()
    }

    /// A child that is not a member has ended.
    pub fn ended(&mut self, pid: Pid) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&pid);
        }
    }

    /// Reaps killed handlers, so that none is left to the process that adopts the supervisor's children.
    pub fn reap_killed(&self) {
        if self.killed {
            fork::await_children(LAST_WAIT);
        }
    }

    /// First processes of handlers in the process table.
    pub fn first<'a>(&self, all: &'a [Process]) -> impl Iterator<Item = Pid> + use<'a, '_> {
        let own = getpid();
        let first = move |one: &&Process| self.known.contains(&one.session) && is_first(one, own);
        all.iter().filter(first).map(|one| one.pid)
    }
}
