//! The keeper's counts of the handlers of mounts that have a limit.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use crate::scoreboard::Scoreboard;

#[derive(Debug)]
pub struct Places {
    board: &'static Scoreboard,
    counts: HashMap<u16, u64>,
    /// Whether the counts are those of all handlers: not while a new keeper looks for those of its predecessor.
    complete: bool,
    /// A worker or a keeper has died: launches may have begun that will never be reported.
    unsettled: bool,
}

impl Places {
    /// None yet; the predecessor's counts stand until [`publish`](Self::publish).
    pub fn new(board: &'static Scoreboard) -> Self {
        Self { board, counts: HashMap::new(), complete: false, unsettled: false }
    }

    /// A handler of this place was found or has ended.
    pub fn count(&mut self, change: i64, place: Option<u16>) {
        let Some(place) = place else { return };
        let count = self.counts.entry(place).or_default();
        *count = count.saturating_add_signed(change);
        if let Some(mounts) = self.board.mounts().filter(|_| self.complete) {
            mounts.place(place).watched.store(*count, SeqCst);
        }
    }

    /// A launch was reported, and is counted here.
    pub fn passed(&self, place: Option<u16>) {
        if let (Some(place), Some(mounts)) = (place, self.board.mounts()) {
            mounts.place(place).passed.fetch_add(1, SeqCst);
        }
    }

    /// All running handlers are counted.
    pub fn publish(&mut self) {
        (self.complete, self.unsettled) = (true, true);
        for (place, shared) in self.board.mounts().into_iter().flat_map(|mounts| mounts.places()) {
            shared.watched.store(self.counts.get(&place).copied().unwrap_or(0), SeqCst);
        }
        self.settle();
    }

    /// Launches may have been lost.
    pub fn unsettle(&mut self) {
        self.unsettled = true;
    }

    pub fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Gives up launches that were begun and never reported. That is certain at a moment when no launch of the instance is
    /// under way: each counts there first.
    pub fn settle(&mut self) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        for (_, place) in self.board.mounts().into_iter().flat_map(|mounts| mounts.places()) {
            let begun = place.begun.load(SeqCst);
            let lost = begun.saturating_sub(place.passed.load(SeqCst));
            if lost == place.lost.load(SeqCst) {
                continue;
            }
            if self.board.pending() == 0 {
                place.lost.store(lost, SeqCst);
            } else {
                self.unsettled = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_of_dead_workers_are_given_up_when_none_is_under_way() {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::anonymous(1).unwrap()));
        board.header().slots.store(1, SeqCst);
        let place = board.mounts().unwrap().place(7);
        let mut places = Places::new(board);
        places.publish();
        // One that is reported and runs, one whose worker died, one that is under way.
        place.begun.store(3, SeqCst);
        board.row(0).begun.store(2, SeqCst);
        places.count(1, Some(7));
        places.passed(Some(7));
        board.row(0).passed.store(1, SeqCst);
        places.unsettle();
        places.settle();
        assert_eq!((place.running(), places.is_unsettled()), (3, true));
        places.count(1, Some(7));
        places.passed(Some(7));
        board.row(0).passed.store(2, SeqCst);
        places.settle();
        assert_eq!((place.running(), places.is_unsettled()), (2, false));
        places.count(-1, Some(7));
        places.count(-1, Some(7));
        assert_eq!(place.running(), 0);
        // A successor finds one of them.
        let mut next = Places::new(board);
        next.count(1, Some(7));
        assert_eq!(place.running(), 0);
        next.publish();
        assert_eq!(place.running(), 1);
    }
}
