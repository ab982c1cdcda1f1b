//! Faults at random times, from a seed. Pure.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::lab::spec::{Fault, FaultKind, REST_MS, Soak};

/// Shortest time between faults: workers have rested, and usually the effect of the last one is over.
const LEAST_S: f64 = REST_MS as f64 / 1e3;
const STOPPED_MS: u64 = 500;

/// The faults of a run of this many seconds, in order. In its second half no worker is replaced, so that a leak in one shows.
pub fn schedule(soak: &Soak, seed: u64, duration_s: f64) -> Vec<Fault> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut faults = Vec::new();
    let mut at_s = 0.0;
    loop {
        let share: f64 = random.random_range(f64::MIN_POSITIVE..1.0);
        at_s += LEAST_S + -share.ln() * (soak.every_s - LEAST_S).max(0.0);
        if at_s >= duration_s || soak.faults.is_empty() {
            return faults;
        }
        let late = at_s >= duration_s * Soak::REPLACING;
        let kinds: Vec<FaultKind> =
            soak.faults.iter().copied().filter(|kind| !late || *kind == FaultKind::Stop).collect();
        if kinds.is_empty() {
            return faults;
        }
        let kind = kinds[random.random_range(0..kinds.len())];
        let lasts_ms = if kind == FaultKind::Stop { STOPPED_MS } else { 0 };
        faults.push(Fault { kind, at_ms: (at_s * 1e3) as u64, lasts_ms, times: 1, every_ms: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::spec::Limits;

    #[test]
    fn faults_are_a_function_of_the_seed_and_as_many_as_asked_for() {
        let soak =
            Soak { faults: Soak::KINDS.to_vec(), every_s: 5.0, slow_clients: 0, limits: Limits::default() };
        let faults = schedule(&soak, 1, 3600.0);
        assert_eq!(faults, schedule(&soak, 1, 3600.0));
        assert_ne!(faults, schedule(&soak, 2, 3600.0));
        assert!((600..850).contains(&faults.len()), "{}", faults.len());
        assert!(faults.windows(2).all(|pair| pair[1].at_ms >= pair[0].at_ms + 1199));
        for kind in Soak::KINDS {
            let of_kind: Vec<_> = faults.iter().filter(|fault| fault.kind == kind).collect();
            assert!(of_kind.len() > 50, "{kind:?}");
            assert!(of_kind.iter().all(|fault| (fault.lasts_ms > 0) == (kind == FaultKind::Stop)));
        }
        assert!(schedule(&Soak { faults: Vec::new(), ..soak }, 1, 3600.0).is_empty());
    }

    #[test]
    fn in_the_second_half_no_worker_is_replaced() {
        let soak =
            Soak { faults: Soak::KINDS.to_vec(), every_s: 5.0, slow_clients: 0, limits: Limits::default() };
        let faults = schedule(&soak, 3, 3600.0);
        let (first, second): (Vec<&Fault>, Vec<&Fault>) =
            faults.iter().partition(|fault| fault.at_ms < 1_800_000);
        assert!(first.iter().any(|fault| fault.kind == FaultKind::Reload));
        assert!(second.len() > 200 && second.iter().all(|fault| fault.kind == FaultKind::Stop));
        let soak = Soak { faults: vec![FaultKind::Kill], ..soak };
        assert!(schedule(&soak, 3, 3600.0).iter().all(|fault| fault.at_ms < 1_800_000));
    }
}
