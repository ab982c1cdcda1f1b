//! The keeper's counts of the handlers of mounts that have a limit, and of clients.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use crate::scoreboard::Scoreboard;
use crate::scoreboard::clients::Client;
use crate::scoreboard::mounts::Shares;

#[derive(Debug)]
pub struct Places {
    board: &'static Scoreboard,
    counts: HashMap<u16, u64>,
    /// Whether the counts are those of all handlers: not while a new keeper looks for those of its predecessor.
    complete: bool,
    /// A worker or a keeper has died: launches may have begun that will never be reported.
    unsettled: bool,
    /// The same for the counts of clients, which workers keep themselves.
    clients_unsettled: bool,
}

impl Places {
    /// None yet; the predecessor's counts stand until [`publish`](Self::publish).
    pub fn new(board: &'static Scoreboard) -> Self {
        Self { board, counts: HashMap::new(), complete: false, unsettled: false, clients_unsettled: false }
    }

    /// A handler with these shares was found or has ended.
    pub fn count(&mut self, change: i64, shares: Shares) {
        if let (-1, Some(client), Some(clients)) = (change, shares.client, self.board.clients()) {
            // The worker has counted it before it began.
            clients.end_handler(client);
        }
        let Some(place) = shares.place else { return };
        let count = self.counts.entry(place).or_default();
        *count = count.saturating_add_signed(change);
        if let Some(mounts) = self.board.mounts().filter(|_| self.complete) {
            mounts.place(place).watched.store(*count, SeqCst);
        }
    }

    /// A launch was reported, and is counted here.
    pub fn passed(&self, shares: Shares) {
        if let (Some(place), Some(mounts)) = (shares.place, self.board.mounts()) {
            mounts.place(place).passed.fetch_add(1, SeqCst);
        }
    }

    /// All running handlers are counted.
    pub fn publish(&mut self) {
        self.complete = true;
        self.unsettle();
        for (place, shared) in self.board.mounts().into_iter().flat_map(|mounts| mounts.places()) {
            shared.watched.store(self.counts.get(&place).copied().unwrap_or(0), SeqCst);
        }
        self.settle();
    }

    /// Launches may have been lost.
    pub fn unsettle(&mut self) {
        (self.unsettled, self.clients_unsettled) = (true, true);
    }

    pub fn is_unsettled(&self) -> bool {
        self.unsettled || self.clients_unsettled
    }

    /// Counts the handlers of clients anew; `running` are the clients of all handlers.
    pub fn settle_clients(&mut self, running: impl Iterator<Item = Client>) {
        if let Some(clients) = self.board.clients().filter(|_| self.clients_unsettled) {
            self.clients_unsettled = !clients.recount(running, || self.board.pending() == 0);
        }
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

    const SEVEN: Shares = Shares { place: Some(7), client: None };

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
        places.count(1, SEVEN);
        places.passed(SEVEN);
        board.row(0).passed.store(1, SeqCst);
        places.unsettle();
        places.settle();
        places.settle_clients(std::iter::empty());
        assert_eq!((place.running(), places.is_unsettled()), (3, true));
        places.count(1, SEVEN);
        places.passed(SEVEN);
        board.row(0).passed.store(2, SeqCst);
        places.settle();
        assert_eq!((place.running(), places.is_unsettled()), (2, false));
        places.count(-1, SEVEN);
        places.count(-1, SEVEN);
        assert_eq!(place.running(), 0);
        // A successor finds one of them.
        let mut next = Places::new(board);
        next.count(1, SEVEN);
        assert_eq!(place.running(), 0);
        next.publish();
        assert_eq!(place.running(), 1);
    }
}
