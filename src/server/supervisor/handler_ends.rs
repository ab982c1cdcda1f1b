//! The instance's handlers during a stop: the supervisor waits for all of them, whichever worker started them, and kills those
//! that outlast the grace period. When the workers have ended, their handlers are children of the supervisor (a subreaper).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::getpid;

use super::predecessors::Kind;
use super::{OVERTIME, Phase, Supervisor, TICK};
use crate::sys::proctable::{self, Process};

impl Supervisor {
    /// Call when the workers have ended: returns whether the handlers of a stopping instance have ended too. After the
    /// grace period it kills them.
    pub(super) fn handlers_have_ended(&mut self) -> bool {
        let Phase::Stopping { until } = self.phase else { return true };
        if self.handlers.awaited.is_none() {
            match proctable::processes() {
                Ok(all) => self.handlers.awaited = Some(self.handlers.first(&all).collect()),
                Err(error) => tracing::warn!("cannot read the process table: {error}; trying again"),
            }
        }
        if self.handlers.awaited.as_ref().is_some_and(BTreeSet::is_empty) {
            return true;
        }
        if Instant::now() + OVERTIME < until {
            return false;
        }
        tracing::warn!("grace period over; killing the remaining handlers");
        self.kill_handlers();
        true
    }

    /// Whether a member other than the keeper is left. The keeper stays until the handlers have ended.
    pub(super) fn has_workers(&self) -> bool {
        self.staff.iter().any(|member| !member.is_keeper())
            || self.predecessors.iter().any(|one| one.kind != Kind::Keeper)
    }

    /// How long a stop may sleep before it looks for handlers again; `None` while there are workers.
    pub(super) fn until_handlers_are_due(&self) -> Option<Duration> {
        let Phase::Stopping { until } = self.phase else { return None };
        if self.has_workers() {
            return None;
        }
        let known = self.handlers.awaited.is_some();
        let grace = until.saturating_duration_since(Instant::now() + OVERTIME) + Duration::from_millis(1);
        // When no handler is left, only the keeper is waited for.
        let over = self.handlers.awaited.as_ref().is_some_and(BTreeSet::is_empty);
        (!over).then_some(if known { grace } else { grace.min(TICK) })
    }

    /// Kills every member and every handler, including handlers of dead workers. A process that moved to a session of
    /// its own is no longer part of a handler.
    pub(super) fn kill_all(&mut self) {
        self.staff.iter().for_each(|member| member.signal(Signal::SIGKILL));
        self.predecessors.iter().for_each(|one| one.signal(Signal::SIGKILL));
        self.kill_handlers();
        self.staff.retain(|member| member.pid.is_some());
    }

    /// Kills every process in the sessions of workers, except members.
    fn kill_handlers(&mut self) {
        self.handlers.killed = true;
        let (own, sessions) = (getpid(), &self.handlers.known);
        let staff = self.members();
        let ours = |one: &Process, all: &[Process]| {
            sessions.contains(&one.session) && !staff.contains(&one.pid) && proctable::descends(one, own, all)
        };
        match proctable::kill_all(ours) {
            Ok(()) => self.handlers.awaited = Some(BTreeSet::new()),
            Err(error) => tracing::error!("cannot kill all handlers: {error}"),
        }
    }
}
