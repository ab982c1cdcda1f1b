//! Whether an event is equally frequent in several groups: an exact test.

use std::collections::BTreeMap;

use statrs::function::factorial::ln_binomial;

use super::tails::chi_square_p;

/// Up to this many events, all ways to spread them are counted.
const COUNTED: u64 = 40;

/// p of the exact test of equal rates (approximate above 40 events), from events and trials of each group: given how many events there are in all, the
/// probability that chance spreads them over the groups at least as unevenly, by Pearson's statistic. `None` if nothing
/// could differ: no event, only events, or a single group.
pub fn equal_rates_p(groups: &[(u64, u64)]) -> Option<f64> {
    let groups: Vec<(u64, u64)> = groups.iter().copied().filter(|(_, trials)| *trials > 0).collect();
    let (events, trials) =
        groups.iter().fold((0, 0), |(events, trials), group| (events + group.0, trials + group.1));
    if groups.len() < 2 || events == 0 || events >= trials {
        return None;
    }
    let observed: u64 = groups.iter().map(|(events, trials)| uneven(*events, *trials)).sum();
    Some(if events <= COUNTED { counted(&groups, events, observed) } else { approximate(&groups, events) })
}

fn counted(groups: &[(u64, u64)], events: u64, observed: u64) -> f64 {
    // Ways to reach a number of events and a statistic, group by group. Scaled: only their ratios matter.
    let mut ways: BTreeMap<(u64, u64), f64> = [((0, 0), 1.0)].into();
    for &(_, trials) in groups {
        let choices = choices(trials, events);
        let mut next = BTreeMap::new();
        for ((so_far, statistic), weight) in ways {
            for (more, choice) in choices.iter().enumerate().take((events - so_far + 1) as usize) {
                let more = more as u64;
                *next.entry((so_far + more, statistic + uneven(more, trials))).or_insert(0.0) +=
                    weight * choice;
            }
        }
        let most = next.values().copied().fold(0.0, f64::max);
        next.values_mut().for_each(|weight| *weight /= most);
        ways = next;
    }
    let all = |least: u64| -> f64 {
        ways.iter()
            .filter(|((so_far, s), _)| *so_far == events && *s >= least)
            .map(|(_, weight)| weight)
            .sum()
    };
    all(observed) / all(0)
}

/// Pearson's statistic against the chi-square distribution, which it has if there are many events.
fn approximate(groups: &[(u64, u64)], events: u64) -> f64 {
    let trials: u64 = groups.iter().map(|(_, trials)| trials).sum();
    let (all, rate) = (trials as f64, events as f64 / trials as f64);
    let part = |(events, trials): &(u64, u64)| {
        let expected = *trials as f64 * rate;
        (*events as f64 - expected).powi(2) / (expected * (1.0 - rate))
    };
    chi_square_p(groups.iter().map(part).sum::<f64>() * (all - 1.0) / all, groups.len() as f64 - 1.0)
}

/// The part of a group in Pearson's statistic that depends on how events are spread, in whole steps: equal values must
/// compare as equal.
fn uneven(events: u64, trials: u64) -> u64 {
    const STEPS: u64 = 1 << 20;
    events * events * STEPS / trials
}

/// How many ways there are to choose 0, 1, ... of `trials`, relative to the most frequent.
fn choices(trials: u64, most: u64) -> Vec<f64> {
    let logs: Vec<f64> = (0..=trials.min(most)).map(|k| ln_binomial(trials, k)).collect();
    let top = logs.iter().copied().fold(0.0, f64::max);
    logs.into_iter().map(|log| (log - top).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: Option<f64>, b: f64) {
        assert!(a.is_some_and(|a| (a - b).abs() < 1e-9), "{a:?} is not {b}");
    }

    #[test]
    fn two_groups_are_the_hypergeometric_distribution() {
        // All 3 events in the first of two groups of 10: 2 * C(10,3) / C(20,3).
        close(equal_rates_p(&[(3, 10), (0, 10)]), 2.0 * 120.0 / 1140.0);
        // Fisher's tea: 4 of 4 against 0 of 4 is 2 of the 70 ways.
        close(equal_rates_p(&[(4, 4), (0, 4)]), 2.0 / 70.0);
        close(equal_rates_p(&[(2, 10), (2, 10)]), 1.0);
    }

    #[test]
    fn one_strategy_with_all_void_runs_stands_out_and_void_runs_of_all_do_not() {
        let one = [(9, 12), (0, 12), (0, 12), (0, 12)];
        assert!(equal_rates_p(&one).unwrap() < 1e-4);
        let all = [(2, 12), (3, 12), (1, 12), (3, 12)];
        assert!(equal_rates_p(&all).unwrap() > 0.5);
        close(equal_rates_p(&[(3, 40); 20]), 1.0);
        close(equal_rates_p(&[(2, 40); 20]), 1.0);
        let [few, many] = [(1, 12), (6, 12)];
        let p = equal_rates_p(&[few, few, many, many, many, many]).unwrap();
        assert!((0.01..0.1).contains(&p), "{p}");
        // Beyond 40 events the approximation continues what is counted.
        let [counted, approximate] =
            [7, 8].map(|more| equal_rates_p(&[(5, 60), (5, 60), (more, 60), (5, 60), (more, 60), (11, 60)]));
        assert!((counted.unwrap() / approximate.unwrap() - 1.0).abs() < 0.3, "{counted:?} {approximate:?}");
    }

    #[test]
    fn where_nothing_can_differ_there_is_no_p() {
        assert_eq!(equal_rates_p(&[(0, 10), (0, 10)]), None);
        assert_eq!(equal_rates_p(&[(10, 10), (10, 10)]), None);
        assert_eq!(equal_rates_p(&[(1, 10)]), None);
        assert_eq!(equal_rates_p(&[(1, 10), (0, 0)]), None);
    }
}
