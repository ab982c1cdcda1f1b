//! Makes a generation and its members, and cleans up after ended generations.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use super::Supervisor;
use super::generation::Generation;
use super::member::{Duty, Member};
use crate::scoreboard::Role;
use crate::server::config::Settings;

impl Supervisor {
    /// Makes a generation, with a member for each worker and for the strategy's auxiliary process. The main loop forks
    /// them once the generation is the one that [starts](Supervisor::starting).
    ///
    /// # Errors
    /// The strategy is not available, or the scoreboard has too few free rows.
    pub(super) fn new_generation(&mut self, settings: Rc<Settings>) -> Result<Rc<Generation>, String> {
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
            self.add_member(Member::new(slot, 0, duty, &generation));
        }
        for (number, &slot) in generation.slots.iter().enumerate() {
            self.add_member(Member::new(slot, number, Duty::Worker, &generation));
        }
        Ok(generation)
    }

    /// Returns `needed` rows of the scoreboard that no member uses.
    pub(super) fn free_slots(&self, needed: usize) -> Result<Vec<usize>, String> {
        let mut taken = vec![false; self.board.rows()];
        self.staff.iter().for_each(|member| taken[member.slot] = true);
        let free: Vec<usize> = (0..taken.len()).filter(|&slot| !taken[slot]).take(needed).collect();
        if free.len() == needed {
            return Ok(free);
        }
        Err(format!(
            "the scoreboard has {} rows, of which {} are free, and {needed} are needed; wait until earlier workers have \
             finished, or restart the instance",
            taken.len(),
            free.len()
        ))
    }

    /// Gives connections that were left in the channels of earlier generations to the current one. They had been passed to a
    /// worker that was killed or stopped, and no other worker of its generation is left to take them. A stopped worker that goes
    /// on later finds its channel empty.
    pub(super) fn reassign_leftovers(&mut self) {
        let Some(current) = &self.current else { return };
        let staff = &self.staff;
        self.generations.retain(|generation| {
            let stopped = |member: &Member| member.stopped || !Rc::ptr_eq(&member.generation, generation);
            if !Rc::ptr_eq(generation, current) && staff.iter().all(stopped) {
                current.strategy.take_over(generation.strategy.left_behind());
            }
            Rc::strong_count(generation) > 1
        });
    }

    /// Adds a member and clears its row in the scoreboard.
    pub(super) fn add_member(&mut self, member: Member) {
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
