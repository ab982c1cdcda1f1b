//! Whose turn it is to be struck: the worker that has rested longest, and none within [`REST`] after its start or its last
//! strike. Pure: the caller brings processes and times.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::lab::spec::REST_MS;

const REST: Duration = Duration::from_millis(REST_MS);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub worker: u64,
    pub pid: u32,
    pub rest: Duration,
}

#[derive(Debug)]
pub struct Turns {
    /// Selects among workers that have rested equally long, modulo their number.
    choice: u64,
    /// Processes, and when each was struck or first seen; `None`: before the first fault.
    since: BTreeMap<u32, Option<Instant>>,
}

impl Turns {
    /// The workers before the first fault have rested.
    pub fn new(workers: &[(u64, u32)], choice: u64) -> Self {
        Self { choice, since: workers.iter().map(|(_, pid)| (*pid, None)).collect() }
    }

    /// `workers`: numbers and processes. `all`: the fault strikes all of them, or any. `None` without workers.
    pub fn next(&mut self, workers: &[(u64, u32)], all: bool, now: Instant) -> Option<Turn> {
        self.since.retain(|pid, _| workers.iter().any(|(_, other)| other == pid));
        for (_, pid) in workers {
            self.since.entry(*pid).or_insert(Some(now));
        }
        let since = |pid: u32| self.since.get(&pid).copied().flatten();
        let first = usize::try_from(self.choice.checked_rem(workers.len() as u64)?).ok()?;
        let (before, from) = workers.split_at(first);
        let (worker, pid) = *from.iter().chain(before).min_by_key(|(_, pid)| since(*pid))?;
        let last = if all { workers.iter().filter_map(|(_, pid)| since(*pid)).max() } else { since(pid) };
        let rest = last.map(|last| (last + REST).saturating_duration_since(now)).unwrap_or_default();
        Some(Turn { worker, pid, rest })
    }

    pub fn struck(&mut self, pid: u32, at: Instant) {
        self.since.insert(pid, Some(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: [(u64, u32); 4] = [(0, 10), (1, 11), (2, 12), (3, 13)];

    #[test]
    fn workers_are_struck_in_turn_and_rest_before_the_next_time() {
        let begin = Instant::now();
        let ms = |ms: u64| begin + Duration::from_millis(ms);
        let mut turns = Turns::new(&FOUR, 6);
        let mut workers = FOUR;
        let mut order = Vec::new();
        for number in 0..8_u32 {
            let at = ms(u64::from(number) * 320);
            let turn = turns.next(&workers, false, at).unwrap();
            assert_eq!(turn.rest, Duration::ZERO, "{number}");
            order.push(turn.worker);
            turns.struck(turn.pid, at);
            workers[turn.worker as usize].1 = 20 + number; // its successor
            turns.next(&workers, false, at + Duration::from_millis(20));
        }
        assert_eq!(order, [2, 3, 0, 1, 2, 3, 0, 1]);
        let early = turns.next(&workers, false, ms(7 * 320 + 100)).unwrap();
        assert_eq!((early.worker, early.rest), (2, Duration::from_millis(1200 + 20 - (3 * 320 + 100))));
    }

    #[test]
    fn a_fault_of_all_workers_waits_for_the_last_that_was_struck() {
        let begin = Instant::now();
        let mut turns = Turns::new(&FOUR, 0);
        assert_eq!(turns.next(&FOUR, true, begin).unwrap().rest, Duration::ZERO);
        turns.struck(12, begin);
        let after = begin + Duration::from_millis(200);
        assert_eq!(turns.next(&FOUR, true, after).unwrap().rest, Duration::from_millis(1000));
        assert_eq!(turns.next(&FOUR, false, after).unwrap().rest, Duration::ZERO);
        assert_eq!(turns.next(&[], false, after), None);
    }
}
