//! Processes that an earlier program of this process has started. They serve until the new ones do, then finish what they hold.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::member::{Duty, Member};
use super::{Phase, Supervisor};
use crate::sys::fork::Fate;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Worker,
    Auxiliary,
    Keeper,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Predecessor {
    pid: i32,
    pub kind: Kind,
    /// SIGTERM has been sent.
    told: bool,
}

impl Predecessor {
    /// A member's process, for the next program.
    pub fn of(member: &Member) -> Option<Self> {
        let kind = match member.duty {
            Duty::Worker => Kind::Worker,
            Duty::Auxiliary(_) => Kind::Auxiliary,
            Duty::Keeper => Kind::Keeper,
        };
        Some(Self { pid: member.pid?.as_raw(), kind, told: member.told })
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.pid)
    }

    /// Sends a signal. The process is our child and not yet reaped, so the pid is its own.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid(), signal);
    }
}

impl Supervisor {
    /// The instance's processes that are not handlers.
    pub(super) fn members(&self) -> Vec<Pid> {
        let staff = self.staff.iter().filter_map(|member| member.pid);
        staff.chain(self.predecessors.iter().map(Predecessor::pid)).collect()
    }

    /// Predecessors that may have started handlers.
    pub(super) fn earlier_workers(&self) -> impl Iterator<Item = Pid> {
        self.predecessors.iter().filter(|one| one.kind == Kind::Worker).map(Predecessor::pid)
    }

    /// Whether no member and no predecessor is left.
    pub(super) fn is_alone(&self) -> bool {
        self.staff.is_empty() && self.predecessors.is_empty()
    }

    /// Sends SIGTERM when others serve, or the instance stops: to auxiliary processes, to workers when these have ended, and to
    /// keepers when no worker reports to them.
    pub(super) fn tell_predecessors(&mut self) {
        if self.current.is_none() && !matches!(self.phase, Phase::Stopping { .. }) {
            return;
        }
        let is_left = |kind: &Kind| self.predecessors.iter().any(|one| one.kind == *kind);
        let next = [Kind::Auxiliary, Kind::Worker, Kind::Keeper].into_iter().find(is_left);
        for one in self.predecessors.iter_mut().filter(|one| Some(one.kind) == next && !one.told) {
            one.told = true;
            one.signal(Signal::SIGTERM);
            // One that was stopped must run to end.
            one.signal(Signal::SIGCONT);
        }
    }

    /// A child that is not a member has changed: returns whether it is a predecessor.
    pub(super) fn is_predecessor(&mut self, pid: Pid, fate: Fate) -> bool {
        let Some(index) = self.predecessors.iter().position(|one| one.pid() == pid) else { return false };
        if matches!(fate, Fate::Exited(_) | Fate::Killed(_)) {
            let one = self.predecessors.swap_remove(index);
            if one.kind == Kind::Worker {
                self.look_for_handlers(pid);
            }
            match fate {
                Fate::Exited(0) => {
                    tracing::debug!("a process of the earlier program (pid {pid}) has finished")
                }
                _ => tracing::error!("a process of the earlier program ({:?}, pid {pid}) {fate}", one.kind),
            }
        }
        true
    }
}
