//! Balance metrics: the shares of the busiest workers, turns, the order of the workers, the share of a
//! successor. Pure.

use std::collections::BTreeMap;

use crate::lab::results::data::RunData;

/// Connections per worker, from the names of the accepting workers; at least `workers` entries.
pub fn counts(names: &[String], workers: usize) -> Vec<u64> {
    let mut known = BTreeMap::new();
    names.iter().for_each(|name| *known.entry(name).or_insert(0) += 1);
    let mut counts: Vec<u64> = known.into_values().collect();
    counts.resize(counts.len().max(workers), 0);
    counts
}

/// The share of the `most` busiest workers, 0 to 1; `None` if nothing was accepted.
pub fn top_share(counts: &[u64], most: usize) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let top: u64 = sorted.iter().take(most).sum();
    (total > 0).then(|| top as f64 / total as f64)
}

/// Population standard deviation of connections per worker.
pub fn deviation(counts: &[u64]) -> Option<f64> {
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<u64>() as f64 / n;
    let squares: f64 = counts.iter().map(|&count| (count as f64 - mean).powi(2)).sum();
    (n > 0.0).then(|| (squares / n).sqrt())
}

/// How much of a sequence was in turn: the share of connections, without the first, whose worker had none of
/// the `workers` - 1 before. 1 is an exact turn, 0 always the same worker.
pub fn turn_share(names: &[String], workers: usize) -> Option<f64> {
    let fresh = |&at: &usize| !names[at.saturating_sub(workers - 1)..at].contains(&names[at]);
    let all = names.len().checked_sub(1).filter(|&all| all > 0 && workers > 1)?;
    Some((1..names.len()).filter(fresh).count() as f64 / all as f64)
}

/// Whether workers started earlier accepted more: Kendall's tau over all pairs with different counts. 1 if
/// each has more than all later ones, -1 for the reverse, about 0 without an order.
pub fn by_number(counts: &[u64]) -> Option<f64> {
    let pairs = || (0..counts.len()).flat_map(|i| (i + 1..counts.len()).map(move |j| (counts[i], counts[j])));
    let more = pairs().filter(|(a, b)| a > b).count() as f64;
    let less = pairs().filter(|(a, b)| a < b).count() as f64;
    (more + less > 0.0).then(|| (more - less) / (more + less))
}

/// The share of the affected worker (or its successor) of the connections accepted after a fault.
pub fn successor_share(run: &RunData) -> Option<f64> {
    let fault = run.fault.as_ref().filter(|fault| fault.kind == "kill" || fault.kind == "exit")?;
    let samples = &run.series.samples;
    let (before, last) = (samples.iter().find(|sample| sample.at_s >= fault.at_s)?, samples.last()?);
    let index = run.workers.iter().position(|worker| worker.worker == fault.worker)?;
    let since = |i: usize| Some(last.accepted.get(i)?.saturating_sub(*before.accepted.get(i)?));
    let total: u64 = (0..last.accepted.len()).filter_map(since).sum();
    (total > 0).then_some(since(index)? as f64 / total as f64)
}

pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::results::data::{FaultRecord, Sample, Series, Worker};

    fn names(text: &str) -> Vec<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn a_turn_is_told_from_a_preference_and_from_chance() {
        assert_eq!(turn_share(&names("012012012"), 3), Some(1.0));
        assert_eq!(turn_share(&names("210210210"), 3), Some(1.0));
        assert_eq!(turn_share(&names("000000000"), 3), Some(0.0));
        assert_eq!(turn_share(&names("0101"), 3), Some(1.0 / 3.0));
        assert_eq!(turn_share(&names("0"), 3), None);
        assert_eq!(counts(&names("2022"), 3), [1, 3, 0]);
    }

    #[test]
    fn the_busiest_workers_are_those_of_pitchfork_127() {
        let published = [49131, 46997, 44023, 38420, 14945, 1742, 91, 12, 0, 0, 0, 1, 0, 0, 0, 0];
        let share = top_share(&published, 4).unwrap();
        assert!((share - 0.914).abs() < 0.001, "{share}");
        assert!(by_number(&published).unwrap() > 0.9);
        assert_eq!(by_number(&[1, 2, 3]), Some(-1.0));
        assert_eq!(by_number(&[5, 5]), None);
        // Micro-Hermes: all 240 with one of four.
        assert!((deviation(&[240, 0, 0, 0]).unwrap() - 103.9).abs() < 0.1);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn what_a_successor_gets_is_counted_from_the_first_sample_after_the_fault() {
        let sample =
            |at_s, accepted: [u64; 2]| Sample { at_s, accepted: accepted.into(), ..Sample::default() };
        let worker = |worker| Worker { worker, ..Worker::default() };
        let run = RunData {
            workers: vec![worker(0), worker(1)],
            series: Series {
                interval_s: 0.1,
                samples: vec![sample(0.0, [50, 0]), sample(0.6, [60, 10]), sample(1.0, [60, 40])],
            },
            fault: Some(FaultRecord { kind: "kill".into(), at_s: 0.5, worker: 0, ..FaultRecord::default() }),
            ..RunData::default()
        };
        assert_eq!(successor_share(&run), Some(0.0));
        let other = FaultRecord { worker: 1, ..run.fault.clone().unwrap() };
        assert_eq!(successor_share(&RunData { fault: Some(other), ..run.clone() }), Some(1.0));
        assert_eq!(successor_share(&RunData { fault: None, ..run }), None);
    }
}
