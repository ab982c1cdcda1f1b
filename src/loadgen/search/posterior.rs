//! How likely each place of the answer is, given all probes. Pure.
//!
//! The model: a probe holds with a probability that falls from 1 to 0 around the answer, as a logistic curve in the
//! logarithm of the rate, over a width that is not known beforehand; one in a hundred probes says anything. All places
//! and widths are equally likely at first. Widths are weighed by the probes too, so that probes which contradict each
//! other widen the interval instead of fooling it.

use super::rate_search::Level;

/// Probability that the answer lies beyond an end of the interval, for each of the two.
const DOUBT: f64 = 0.025;
/// Places that are told apart.
const PLACES: usize = 240;
/// Widths, in units of the resolution of the search.
const WIDTHS: [f64; 6] = [0.1, 0.3, 1.0, 3.0, 9.0, 27.0];
/// Share of probes that say anything.
const LAPSE: f64 = 0.01;
/// How far beyond the rates tried the answer can be, as a factor's logarithm.
const BEYOND: f64 = 0.7;

/// The distribution of the answer.
#[derive(Debug)]
pub struct Posterior {
    /// Logarithm of the rate, and the probability that the answer is not above it.
    below: Vec<(f64, f64)>,
}

impl Posterior {
    /// What `levels` (ascending) say.
    pub fn of(levels: &[Level], resolution: f64) -> Self {
        let (Some(first), Some(last)) = (levels.first(), levels.last()) else {
            return Self { below: Vec::new() };
        };
        let (low, high) = (first.rate.ln() - BEYOND, last.rate.ln() + BEYOND);
        let place = |index: usize| low + (high - low) * index as f64 / PLACES as f64;
        let logs: Vec<[f64; WIDTHS.len()]> = (0..=PLACES)
            .map(|index| WIDTHS.map(|width| likelihood(levels, place(index), width * resolution)))
            .collect();
        let most = logs.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = |logs: &[f64; WIDTHS.len()]| logs.iter().map(|log| (log - most).exp()).sum::<f64>();
        let whole: f64 = logs.iter().map(weight).sum();
        let mut sum = 0.0;
        let mut add = |(index, logs)| {
            sum += weight(logs) / whole;
            (place(index), sum)
        };
        Self { below: logs.iter().enumerate().map(&mut add).collect() }
    }

    /// Whether the answer is hardly beyond `rate`: above it (`up`), or below it.
    pub fn is_beyond(&self, rate: f64, up: bool) -> bool {
        let at = self.below.partition_point(|(place, _)| *place < rate.ln());
        let below = self.below.get(at).map_or(1.0, |(_, below)| *below);
        if up { 1.0 - below <= DOUBT } else { below <= DOUBT }
    }
}

/// Its logarithm.
fn likelihood(levels: &[Level], place: f64, width: f64) -> f64 {
    let of = |level: &Level| {
        let curve = 1.0 / (1.0 + ((level.rate.ln() - place) / width).exp());
        let holds = LAPSE / 2.0 + (1.0 - LAPSE) * curve;
        let part = |count: u32, chance: f64| if count == 0 { 0.0 } else { f64::from(count) * chance.ln() };
        part(level.held, holds) + part(level.against(), 1.0 - holds)
    };
    levels.iter().map(of).sum()
}
