//! The spread of connections over the workers of a cell, over all its runs.

use crate::measure::stats::{self, Balance};

/// Medians over the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub top1_share: f64,
    pub max_over_mean: f64,
    pub jain: f64,
    pub cov: f64,
    /// p of the chi-square values of all runs together.
    pub p: f64,
    pub kind: Kind,
}

/// How even a spread is, by the size of the unevenness: with enough connections any preference has a small p.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The busiest worker has at most 1.05 times the mean.
    Even,
    /// At most 1.25 times.
    RoughlyEven,
    Uneven,
    /// One worker has at least nine tenths of all connections.
    Concentrated,
}

impl Kind {
    pub fn of(top1_share: f64, max_over_mean: f64) -> Self {
        match max_over_mean {
            _ if top1_share >= 0.9 => Self::Concentrated,
            times if times <= 1.05 => Self::Even,
            times if times <= 1.25 => Self::RoughlyEven,
            _ => Self::Uneven,
        }
    }
}

/// Shares of the workers, largest first; `None` if nothing was accepted.
pub fn shares(counts: &[u64]) -> Option<Vec<f64>> {
    let total: u64 = counts.iter().sum();
    let mut shares: Vec<f64> = counts.iter().map(|&count| count as f64 / total as f64).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    (total > 0).then_some(shares)
}

/// Chi-square values and degrees of freedom of the runs add up.
pub fn spread(runs: &[Vec<u64>]) -> Option<Spread> {
    let balances: Vec<Balance> = runs.iter().filter_map(|counts| Balance::of(counts)).collect();
    let median = |of: fn(&Balance) -> f64| stats::median(&balances.iter().map(of).collect::<Vec<_>>());
    let total = |of: fn(&Balance) -> f64| balances.iter().map(of).sum::<f64>();
    let top1_share = median(|balance| balance.top1_share)?;
    let max_over_mean = median(|balance| balance.max_over_mean)?;
    let p = stats::chi_square_p(total(|balance| balance.chi_square), total(|balance| balance.freedom));
    Some(Spread {
        top1_share,
        max_over_mean,
        jain: median(|b| b.jain)?,
        cov: median(|b| b.cov)?,
        p,
        kind: Kind::of(top1_share, max_over_mean),
    })
}
