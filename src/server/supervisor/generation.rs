//! A generation: the processes that are started together with the same settings, and its places among the others.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use super::Supervisor;
use super::member::{Duty, Member};
use crate::listener::{SocketCount, Strategy};
use crate::scoreboard::Role;
use crate::server::config::Settings;

/// Workers that were started together. Each of its members holds it, so it lives as long as the last of them: also one that
/// was given up, or that has left but for a stopped worker.
#[derive(Debug)]
pub(super) struct Generation {
    /// Counts up over the life of the instance; no two generations have the same.
    pub number: u64,
    pub settings: Rc<Settings>,
    pub strategy: Box<dyn Strategy>,
    /// Rows of its workers in the scoreboard, by their numbers.
    pub slots: Vec<usize>,
}

impl Generation {
    /// Whether the instance's sockets are divided among its workers, so that one without a worker is not served.
    pub fn divides_sockets(&self) -> bool {
        self.settings.listener.sockets() == SocketCount::PerWorker
    }
}

impl Supervisor {
    /// Makes a generation, with a place for each worker and for the process that serves its strategy, if it has one. The
    /// loop fills them as soon as the generation is the one that [starts](Supervisor::starting).
    ///
    /// # Errors
    /// The strategy lacks something, or the scoreboard has no room.
    pub(super) fn found(&mut self, settings: Rc<Settings>) -> Result<Rc<Generation>, String> {
        let strategy = settings.listener.open(settings.workers).map_err(|error| {
            format!("listener strategy {} cannot be used here: {error}", settings.listener)
        })?;
        let auxiliary = settings.listener.entry.auxiliary;
        let mut slots = self.free_slots(settings.workers + usize::from(auxiliary.is_some()))?;
        let auxiliary = auxiliary.and_then(|name| Some((Duty::Auxiliary(name), slots.pop()?)));
        let number = self.next_number;
        self.next_number += 1;
        let generation = Rc::new(Generation { number, settings, strategy, slots });
        self.generations.push(Rc::clone(&generation));
        if let Some((duty, slot)) = auxiliary {
            self.take_place(Member::new(slot, 0, duty, &generation));
        }
        for (number, &slot) in generation.slots.iter().enumerate() {
            self.take_place(Member::new(slot, number, Duty::Worker, &generation));
        }
        Ok(generation)
    }

    /// Rows of the scoreboard that no member has, as many as needed.
    pub(super) fn free_slots(&self, needed: usize) -> Result<Vec<usize>, String> {
        let mut taken = vec![false; self.board.rows()];
        self.staff.iter().for_each(|member| taken[member.slot] = true);
        let free: Vec<usize> = (0..taken.len()).filter(|&slot| !taken[slot]).take(needed).collect();
        if free.len() == needed {
            return Ok(free);
        }
        Err(format!(
            "the scoreboard has {} rows, {} are free and {needed} are needed; wait until earlier workers have \
             finished, or stop the instance and start it again",
            taken.len(),
            free.len()
        ))
    }

    /// Hands what generations of which no process is left have left behind (connections that were passed to a worker which was
    /// killed or stopped, and that no other one of its generation could take any more) to the one that serves.
    pub(super) fn settle_estates(&mut self) {
        let (gone, left) = std::mem::take(&mut self.generations)
            .into_iter()
            .partition(|generation| Rc::strong_count(generation) == 1);
        self.generations = left;
        let Some(heir) = self.current.as_ref() else { return };
        for generation in Vec::from_iter::<Vec<Rc<Generation>>>(gone) {
            heir.strategy.take_over(generation.strategy.left_behind());
        }
    }

    /// Gives a member its row in the scoreboard.
    pub(super) fn take_place(&mut self, member: Member) {
        self.board.clear(member.slot);
        let role = match member.duty {
            Duty::Worker => Role::Worker,
            Duty::Auxiliary(_) => Role::Auxiliary,
            Duty::Keeper => Role::Keeper,
        };
        self.board.row(member.slot).role.store(role as u64, Relaxed);
        self.board.header().slots.fetch_max(member.slot as u64 + 1, Relaxed);
        self.staff.push(member);
    }
}
