//! The posterior distribution of the answer, given all probes. Pure.
//!
//! The model: the probability that a probe holds falls from 1 to 0 around the answer, along a logistic curve in the
//! logarithm of the rate, whose width is unknown; one probe in a hundred is random. The prior over positions and widths is
//! uniform. Since widths are weighted by the probes too, contradictory probes widen the interval.

/// Probability that the answer lies beyond an end of the interval, for each end.
const DOUBT: f64 = 0.025;
const POSITIONS: usize = 240;
/// Widths, in units of the resolution of the search.
const WIDTHS: [f64; 6] = [0.1, 0.3, 1.0, 3.0, 9.0, 27.0];
const LAPSE: f64 = 0.01;
/// How far the grid extends beyond the rates tried, as the logarithm of a factor.
const BEYOND: f64 = 0.7;

/// The probes of one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    pub rate: f64,
    pub held: u32,
    pub broken: u32,
    /// Probes that reached the generator's limit.
    pub limited: u32,
}

impl Level {
    /// Probes that did not hold.
    pub fn against(&self) -> u32 {
        self.broken + self.limited
    }

    pub fn probes(&self) -> u32 {
        self.held + self.against()
    }
}

#[derive(Debug)]
pub struct Posterior {
    /// Logarithm of the rate, and the probability that the answer is not above it.
    below: Vec<(f64, f64)>,
}

impl Posterior {
    /// `levels`: ascending.
    pub fn of(levels: &[Level], resolution: f64) -> Self {
        let (Some(first), Some(last)) = (levels.first(), levels.last()) else {
            return Self { below: Vec::new() };
        };
        let (low, high) = (first.rate.ln() - BEYOND, last.rate.ln() + BEYOND);
        let place = |index: usize| low + (high - low) * index as f64 / POSITIONS as f64;
        let logs: Vec<[f64; WIDTHS.len()]> = (0..=POSITIONS)
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

    /// Whether the answer is unlikely to lie above (`up`) or below `rate`.
    pub fn is_beyond(&self, rate: f64, up: bool) -> bool {
        let at = self.below.partition_point(|(place, _)| *place < rate.ln());
        let below = self.below.get(at).map_or(1.0, |(_, below)| *below);
        if up { 1.0 - below <= DOUBT } else { below <= DOUBT }
    }
}

fn likelihood(levels: &[Level], place: f64, width: f64) -> f64 {
    let of = |level: &Level| {
        let curve = 1.0 / (1.0 + ((level.rate.ln() - place) / width).exp());
        let holds = LAPSE / 2.0 + (1.0 - LAPSE) * curve;
        let part = |count: u32, chance: f64| if count == 0 { 0.0 } else { f64::from(count) * chance.ln() };
        part(level.held, holds) + part(level.against(), 1.0 - holds)
    };
    levels.iter().map(of).sum()
}
