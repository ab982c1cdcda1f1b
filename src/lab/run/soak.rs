//! Faults one after the other, at random times from a seed. The schedule is pure; `fault_injector` injects.

use std::collections::VecDeque;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fault_injector::FaultInjector;
use crate::lab::results::data::FaultRecord;
use crate::lab::spec::{Fault, FaultKind, Soak};

/// Shortest time between faults: usually the effect of the last one is over.
const LEAST_S: f64 = 0.5;
/// Range of the duration of a stop.
const STOPPED_MS: (u64, u64) = (50, 500);

/// The faults of a run of this many seconds, in order, each with a number that selects its worker.
pub fn schedule(soak: &Soak, seed: u64, duration_s: f64) -> Vec<(Fault, u64)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut faults = Vec::new();
    let mut at_s = 0.0;
    loop {
        let share: f64 = random.random_range(f64::MIN_POSITIVE..1.0);
        at_s += LEAST_S + -share.ln() * (soak.every_s - LEAST_S).max(0.0);
        if at_s >= duration_s || soak.faults.is_empty() {
            return faults;
        }
        let kind = soak.faults[random.random_range(0..soak.faults.len())];
        let lasts_ms =
            if kind == FaultKind::Stop { random.random_range(STOPPED_MS.0..=STOPPED_MS.1) } else { 0 };
        faults.push((Fault { kind, at_ms: (at_s * 1e3) as u64, lasts_ms }, random.random()));
    }
}

#[derive(Debug)]
pub struct FaultSequence {
    one: FaultInjector,
    next: VecDeque<(Fault, u64)>,
    past: Vec<FaultRecord>,
}

impl FaultSequence {
    pub fn new(one: FaultInjector, next: impl IntoIterator<Item = (Fault, u64)>) -> Self {
        Self { one, next: next.into_iter().collect(), past: Vec::new() }
    }

    /// Does what is due, and returns the time until the next action.
    pub fn advance(&mut self) -> Duration {
        if self.one.is_over()
            && let Some((fault, choice)) = self.next.pop_front()
        {
            self.past.extend(self.one.again(fault, choice));
        }
        self.one.advance()
    }

    /// Whether the server was told to stop.
    pub fn ends_server(&self) -> bool {
        self.one.ends_server()
    }

    /// The records of all faults.
    pub fn finish(mut self) -> Vec<FaultRecord> {
        self.past.extend(self.one.finish());
        self.past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_a_function_of_the_seed_and_as_many_as_asked_for() {
        let soak = Soak { faults: Soak::KINDS.to_vec(), every_s: 5.0, slow_clients: 0 };
        let faults = schedule(&soak, 1, 3600.0);
        assert_eq!(faults, schedule(&soak, 1, 3600.0));
        assert_ne!(faults, schedule(&soak, 2, 3600.0));
        assert!((600..850).contains(&faults.len()), "{}", faults.len());
        assert!(faults.windows(2).all(|pair| pair[1].0.at_ms >= pair[0].0.at_ms + 499));
        for kind in Soak::KINDS {
            let of_kind: Vec<_> = faults.iter().filter(|(fault, _)| fault.kind == kind).collect();
            assert!(of_kind.len() > 100, "{kind:?}");
            assert!(of_kind.iter().all(|(fault, _)| (fault.lasts_ms > 0) == (kind == FaultKind::Stop)));
        }
        assert!(schedule(&Soak { faults: Vec::new(), ..soak }, 1, 3600.0).is_empty());
    }
}
