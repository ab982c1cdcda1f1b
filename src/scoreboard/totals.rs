//! The counters of the instance: those of its rows, and what rows counted before they were given to other workers. So
//! they never decrease at a reload.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};

use super::{Counters, Role, Row, Scoreboard, add};

/// Counts of rows at the time they were cleared.
#[repr(C)]
#[derive(Debug)]
pub struct Earlier {
    /// Odd while the numbers are being changed.
    changes: AtomicU64,
    accepted: AtomicU64,
    stolen: AtomicU64,
    wakeups: AtomicU64,
    empty_wakeups: AtomicU64,
    launched: AtomicU64,
    launch_failures: AtomicU64,
    answered: [AtomicU64; 5],
    timeouts: AtomicU64,
    busy_ns: AtomicU64,
}

impl Earlier {
    /// Adds the counts of a row before `clear` resets it. Only the supervisor does that.
    pub(super) fn take_over(&self, row: &Row, clear: impl FnOnce()) {
        self.changes.fetch_add(1, SeqCst);
        if row.role.load(Relaxed) == Role::Worker as u64 {
            let own = [
                &self.accepted,
                &self.stolen,
                &self.wakeups,
                &self.empty_wakeups,
                &self.launched,
                &self.launch_failures,
                &self.timeouts,
                &self.busy_ns,
            ];
            let rows = [
                &row.accepted,
                &row.stolen,
                &row.wakeups,
                &row.empty_wakeups,
                &row.launched,
                &row.launch_failures,
                &row.timeouts,
                &row.busy_ns,
            ];
            let counted = own.into_iter().zip(rows).chain(self.answered.iter().zip(&row.answered));
            counted.for_each(|(own, row)| add(own, row.load(Relaxed)));
        }
        clear();
        self.changes.fetch_add(1, SeqCst);
    }

    fn read(&self) -> Counters {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Counters {
            accepted: get(&self.accepted),
            stolen: get(&self.stolen),
            wakeups: get(&self.wakeups),
            empty_wakeups: get(&self.empty_wakeups),
            launched: get(&self.launched),
            launch_failures: get(&self.launch_failures),
            answered: std::array::from_fn(|class| get(&self.answered[class])),
            timeouts: get(&self.timeouts),
            busy_ns: get(&self.busy_ns),
            ..Counters::default()
        }
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
            workers.map(Counters::read).for_each(|row| totals.add(&row));
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
    fn add(&mut self, other: &Self) {
        let Self {
            accepted,
            stolen,
            wakeups,
            empty_wakeups,
            launched,
            launch_failures,
            timeouts,
            open,
            running,
            busy_ns,
            ..
        } = self;
        for (own, other) in [
            (accepted, other.accepted),
            (stolen, other.stolen),
            (wakeups, other.wakeups),
            (empty_wakeups, other.empty_wakeups),
            (launched, other.launched),
            (launch_failures, other.launch_failures),
            (timeouts, other.timeouts),
            (open, other.open),
            (running, other.running),
            (busy_ns, other.busy_ns),
        ] {
            *own += other;
        }
        self.answered.iter_mut().zip(other.answered).for_each(|(own, other)| *own += other);
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
