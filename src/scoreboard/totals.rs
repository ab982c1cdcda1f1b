//! The counters of the instance: those of its rows, and what rows counted before they were given to other workers. So
//! they never decrease at a reload.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};

use super::counters::TOTALLED;
use super::{Counters, REFUSALS, Role, Row, Scoreboard, add};

/// Counts of rows at the time they were cleared.
#[repr(C)]
#[derive(Debug)]
pub struct Earlier {
    /// Odd while the numbers are being changed.
    changes: AtomicU64,
    /// In the order of [`Row::totalled`].
    counts: [AtomicU64; TOTALLED],
    refused: [AtomicU64; REFUSALS],
}

impl Earlier {
    /// Adds the counts of a row before `clear` resets it. Only the supervisor does that.
    pub(super) fn take_over(&self, row: &Row, clear: impl FnOnce()) {
        self.changes.fetch_add(1, SeqCst);
        if row.role.load(Relaxed) == Role::Worker as u64 {
            let counted =
                self.counts.iter().chain(&self.refused).zip(row.totalled().into_iter().chain(&row.refused));
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
        self.steady(|| {
            let mut totals = self.header().earlier.read();
            self.workers().map(Counters::read).for_each(|row| totals.add(row));
            totals
        })
    }

    /// The workers' own answers by kind of refusal, of all generations since the instance started.
    pub fn refusals(&self) -> [u64; REFUSALS] {
        self.steady(|| {
            let mut refusals = self.header().earlier.refused.each_ref().map(|count| count.load(Relaxed));
            for row in self.workers() {
                refusals.iter_mut().zip(&row.refused).for_each(|(own, count)| *own += count.load(Relaxed));
            }
            refusals
        })
    }

    /// Bytes of arriving request bodies in memory, over all workers, if they have a limit.
    pub fn body_bytes(&self) -> u64 {
        self.used().map(|row| row.bodies.load(SeqCst)).sum()
    }

    fn workers(&self) -> impl Iterator<Item = &Row> {
        self.used().filter(|row| row.role.load(Relaxed) == Role::Worker as u64)
    }

    /// Reads while no row is being cleared: such a row would count twice, or not at all.
    fn steady<T>(&self, read: impl Fn() -> T) -> T {
        let changes = &self.header().earlier.changes;
        for _ in 0..1000 {
            let before = changes.load(Acquire);
            let found = read();
            if before.is_multiple_of(2) && changes.load(SeqCst) == before {
                return found;
            }
            std::thread::yield_now();
        }
        read()
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
            add(&board.row(slot).refused[5], 3);
        }
        // An auxiliary process passes on what it accepts, so that it counts at the worker.
        board.row(2).role.store(Role::Auxiliary as u64, Relaxed);
        assert_eq!((board.totals().accepted, board.totals().answered[3]), (20, 4));
        assert_eq!(board.refusals()[5], 6);
        (0..3).for_each(|slot| board.clear(slot));
        assert_eq!(board.refusals()[5], 6);
        assert_eq!((board.totals().accepted, board.totals().answered[3]), (20, 4));
        add(&board.row(0).accepted, 1);
        assert_eq!(board.totals().accepted, 21);
    }
}
