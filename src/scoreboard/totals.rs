//! The counters of the instance: those of its rows, and what rows counted before they were given to other workers. So
//! they never decrease at a reload.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};

use super::counters::TOTALLED;
use super::{Counters, Role, Row, Scoreboard, add};

/// Counts of rows at the time they were cleared.
#[repr(C)]
#[derive(Debug)]
pub struct Earlier {
    /// Odd while the numbers are being changed.
    changes: AtomicU64,
    /// In the order of [`Row::totalled`].
    counts: [AtomicU64; TOTALLED],
}

impl Earlier {
    /// Adds the counts of a row before `clear` resets it. Only the supervisor does that.
    pub(super) fn take_over(&self, row: &Row, clear: impl FnOnce()) {
        self.changes.fetch_add(1, SeqCst);
        if row.role.load(Relaxed) == Role::Worker as u64 {
            let counted = self.counts.iter().zip(row.totalled());
            counted.for_each(|(own, row)| add(own, row.load(Relaxed)));
        }
        clear();
        self.changes.fetch_add(1, SeqCst);
    }

    fn read(&self) -> Counters {
        let mut counters = Counters::default();
        let read = counters.totalled().into_iter().zip(&self.counts);
        read.for_each(|(total, count)| *total = count.load(Relaxed));
        counters
    }
}

impl Scoreboard {
    /// The counts of all generations since the instance started, and the connections and handlers open now.
    pub fn totals(&self) -> Counters {
        let earlier = &self.header().earlier;
        // A row that is being cleared would count twice, or not at all.
        let mut totals = Counters::default();
        for _ in 0..1000 {
            let before = earlier.changes.load(Acquire);
            totals = earlier.read();
            let workers = self.used().filter(|row| row.role.load(Relaxed) == Role::Worker as u64);
            workers.map(Counters::read).for_each(|row| totals.add(row));
            if before.is_multiple_of(2) && earlier.changes.load(SeqCst) == before {
                break;
            }
            std::thread::yield_now();
        }
        totals
    }
}

impl Counters {
    /// Adds the counters of another row.
    fn add(&mut self, mut other: Self) {
        self.totalled().into_iter().zip(other.totalled()).for_each(|(own, other)| *own += *other);
        self.open += other.open;
        self.running += other.running;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_go_on_when_rows_are_given_to_others() {
        let board = Scoreboard::anonymous(3).unwrap();
        board.header().slots.store(3, Relaxed);
        for slot in 0..3 {
            add(&board.row(slot).accepted, 10);
            add(&board.row(slot).answered[3], 2);
        }
        // An auxiliary process passes on what it accepts, so that it counts at the worker.
        board.row(2).role.store(Role::Auxiliary as u64, Relaxed);
        assert_eq!((board.totals().accepted, board.totals().answered[3]), (20, 4));
        (0..3).for_each(|slot| board.clear(slot));
        assert_eq!((board.totals().accepted, board.totals().answered[3]), (20, 4));
        add(&board.row(0).accepted, 1);
        assert_eq!(board.totals().accepted, 21);
    }
}
