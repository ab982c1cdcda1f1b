//! Repairs a truncated scoreboard. [`sys::guard`](crate::sys::guard) restores the file; this writes its contents.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::member::Duty;
use super::{Phase, Supervisor};
use crate::scoreboard::{Role, State};

impl Supervisor {
    /// Rewrites the scoreboard if its contents were lost. Counters restart at 0.
    pub(super) fn repair_scoreboard(&mut self) {
        if self.board.is_whole() {
            return;
        }
        let path = self.claim.folder().scoreboard();
        tracing::error!("{} was truncated; its counters restart at 0", path.display());
        let header = self.board.header();
        let current = self.current.as_ref().or(self.starting.as_ref());
        if let Some(generation) = current {
            header.generation.store(generation.number, SeqCst);
            header.workers.store(generation.settings.workers as u64, Relaxed);
        }
        header.port.store(self.address.port().into(), Relaxed);
        header.closing.store((self.phase != Phase::Running).into(), SeqCst);
        for member in &self.staff {
            let row = self.board.row(member.slot);
            let (role, state) = match (member.duty, member.ready, member.retiring) {
                (Duty::Worker, true, false) => (Role::Worker, State::Running),
                (Duty::Worker, true, true) => (Role::Worker, State::Stopping),
                (Duty::Worker, false, _) => (Role::Worker, State::Starting),
                (Duty::Auxiliary(_), ..) => (Role::Auxiliary, State::Running),
                (Duty::Keeper, ..) => (Role::Keeper, State::Running),
            };
            row.role.store(role as u64, Relaxed);
            row.state.store(state as u64, Relaxed);
            row.generation.store(member.generation.number, Relaxed);
            row.number.store(member.number as u64, Relaxed);
            row.pid.store(member.pid.map_or(0, |pid| pid.as_raw().unsigned_abs().into()), Relaxed);
            header.slots.fetch_max(member.slot as u64 + 1, Relaxed);
        }
        self.board.mend();
    }
}
