//! Which rate to try next, and what is known so far. Pure: it sees rates and outcomes only.
//!
//! The outcomes so far are the only state. *Levels* are the rates tried, in ascending order. The *split* is the position
//! between two levels that agrees with most outcomes: levels below it should hold, levels above it should not. The search
//! multiplies or divides by `STRIDE` until the split lies between two levels; bisects their ratio until it is at
//! most `RESOLUTION`; then repeats on both sides until one level has always held, and one never, in
//! `REPEATS` probes, and the posterior of all probes puts the answer between them. Levels that cannot be such an
//! end are skipped in growing steps, so that a wide region of chance costs few probes and one outlier does no harm.

use super::posterior::{Level, Posterior};
use crate::measure::record::Search;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Holds,
    Broken,
    /// The generator could not offer the rate: nothing is known about the server.
    Limited,
}

/// Probes after which a draw is accepted.
const DRAWN: u32 = 4;
/// Per second.
const HIGHEST: f64 = 1e6;
/// Factor between rates until both outcomes have occurred.
const STRIDE: f64 = 4.0;
/// Target distance of the two ends as a share of the rate.
const RESOLUTION: f64 = 0.05;
/// Unanimous probes that make an end of the interval.
const REPEATS: u32 = 2;
/// Limit on all probes.
const MOST: u32 = 200;

#[derive(Clone, Debug)]
pub struct RateSearch {
    start: f64,
    lowest: f64,
    most: u32,
    /// Ascending.
    levels: Vec<Level>,
}

impl RateSearch {
    /// From this rate on; `lowest`: the rate at which a run still has enough requests.
    pub fn new(start: f64, lowest: f64) -> Self {
        Self { start: start.min(HIGHEST), lowest: lowest.min(start), most: MOST, levels: Vec::new() }
    }

    pub fn note(&mut self, rate: f64, outcome: Outcome) {
        let at = self.levels.partition_point(|level| level.rate < rate);
        if self.levels.get(at).is_none_or(|level| level.rate != rate) {
            self.levels.insert(at, Level { rate, ..Level::default() });
        }
        match outcome {
            Outcome::Holds => self.levels[at].held += 1,
            Outcome::Broken => self.levels[at].broken += 1,
            Outcome::Limited => self.levels[at].limited += 1,
        }
    }

    /// The rate to try next, with three digits; `None` when the search is complete.
    pub fn next(&self) -> Option<f64> {
        let Self { start, lowest, .. } = *self;
        if self.probes() >= self.most {
            return None;
        }
        let (below, above) = self.levels.split_at(self.split());
        let exact = match (below.last(), above.first()) {
            (None, None) => Some(start),
            // An outlier is more likely than the generator's limit, and a draw decides nothing: repeat.
            (_, Some(first)) if self.is_doubtful(first) => Some(first.rate),
            (None, Some(first)) if first.rate > lowest => Some((first.rate / STRIDE).max(lowest)),
            (Some(last), None) if last.rate < HIGHEST => Some((last.rate * STRIDE).min(HIGHEST)),
            // At the limits of the search.
            (None, Some(end)) | (Some(end), None) => (end.probes() < REPEATS).then_some(end.rate),
            // Confirm before turning back.
            (Some(last), Some(first)) if first.probes() == 1 && first.rate / last.rate > STRIDE * 0.9 => {
                Some(first.rate)
            }
            (Some(last), Some(first)) if first.rate / last.rate > 1.0 + RESOLUTION => {
                Some((last.rate * first.rate).sqrt())
            }
            _ => {
                let posterior = Posterior::of(&self.levels, RESOLUTION);
                let down = self.towards(below.iter().rev().copied(), &posterior, false);
                let up = self.towards(above.iter().copied(), &posterior, true);
                let open = [down, up].into_iter().flatten().filter(|(_, probes)| *probes < REPEATS);
                open.min_by_key(|(_, probes)| *probes).map(|(rate, _)| rate)
            }
        };
        exact.map(three_digits)
    }

    /// The number of levels below the split; of several possible splits, the lowest.
    fn split(&self) -> usize {
        let agreeing = |split: usize| {
            let (below, above) = self.levels.split_at(split);
            below.iter().map(|level| level.held).sum::<u32>() + above.iter().map(Level::against).sum::<u32>()
        };
        (0..=self.levels.len()).rev().max_by_key(|split| agreeing(*split)).unwrap_or(0)
    }

    fn is_doubtful(&self, first: &Level) -> bool {
        let is_draw = first.held == first.against() && first.probes() < DRAWN;
        is_draw || (first.probes() == 1 && first.limited == 1)
    }

    /// The nearest level away from the split that is an end of the interval or can become one by repetition, or else a
    /// new rate, and its number of probes. `None` at the limits of the search.
    fn towards(
        &self,
        levels: impl Iterator<Item = Level>,
        posterior: &Posterior,
        up: bool,
    ) -> Option<(f64, u32)> {
        let further =
            |rate: f64, step: f64| three_digits(if up { rate * (1.0 + step) } else { rate / (1.0 + step) });
        let is_before = |rate: f64, other: f64| if up { rate < other } else { rate > other };
        let mut passed: Option<f64> = None;
        let mut step = RESOLUTION;
        for level in levels {
            // The step ends before the next level: try there.
            if let Some(rate) =
                passed.map(|rate| further(rate, step)).filter(|rate| is_before(*rate, level.rate))
            {
                return Some((rate, 0));
            }
            let is_unanimous = if up { level.held == 0 } else { level.against() == 0 };
            if is_unanimous && (level.probes() < REPEATS || posterior.is_beyond(level.rate, up)) {
                return Some((level.rate, level.probes()));
            }
            passed = Some(level.rate);
            step *= 2.0;
        }
        let rate = passed?;
        let beyond = further(rate, step).clamp(self.lowest, HIGHEST);
        (beyond != rate).then_some((beyond, 0))
    }

    /// What is known so far, but for objectives and probes.
    pub fn found(&self) -> Search {
        let (below, above) = self.levels.split_at(self.split());
        let posterior = Posterior::of(&self.levels, RESOLUTION);
        let held = || below.iter().rev().filter(|level| level.against() == 0);
        let answer = held().find(|level| level.probes() >= REPEATS).or(held().next());
        let lower = held().find(|level| posterior.is_beyond(level.rate, false)).or(held().next());
        let not = || above.iter().filter(|level| level.held == 0);
        let upper = not().find(|level| posterior.is_beyond(level.rate, true)).or(not().next());
        let outcome = match (answer, upper) {
            _ if above.first().is_some_and(|level| level.limited > level.broken) => "generator",
            (None, _) => "none",
            (Some(_), None) => "above",
            _ => "found",
        };
        let [rate, lower, upper] = [answer, lower, upper].map(|level| level.map(|level| level.rate));
        // Nothing is left to try: both ends have enough probes, or are the limits of the search.
        let confirmed = self.next().is_none() && self.probes() < self.most;
        let non_monotone = below.iter().any(|level| level.against() > level.held)
            || above.iter().any(|level| level.held > level.against());
        Search { outcome: outcome.into(), rate, lower, upper, confirmed, non_monotone, ..Search::default() }
    }

    fn probes(&self) -> u32 {
        self.levels.iter().map(Level::probes).sum()
    }
}

fn three_digits(rate: f64) -> f64 {
    let unit = 10f64.powf(rate.log10().floor() - 2.0);
    if unit >= 1.0 { (rate / unit).round() * unit } else { (rate * 100.0).round() / 100.0 }
}

#[cfg(test)]
#[path = "rate_search_tests.rs"]
mod tests;
