//! The spread of connections over the workers of a cell, over all its runs.

use crate::measure::stats::{self, Balance};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Median of the largest share.
    pub top1_share: f64,
    /// Median of Jain's index.
    pub jain: f64,
    /// Median of the coefficient of variation.
    pub cov: f64,
    /// p of the chi-square values of all runs together.
    pub p: f64,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More even than chance (p above 0.999): workers take turns.
    Turn,
    /// As even as a fair random choice.
    Hash,
    /// Less even than a fair random choice (p below 0.001).
    Preference,
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
    let p = stats::chi_square_p(total(|balance| balance.chi_square), total(|balance| balance.freedom));
    let kind = match p {
        p if p > 0.999 => Kind::Turn,
        p if p < 0.001 => Kind::Preference,
        _ => Kind::Hash,
    };
    Some(Spread { top1_share, jain: median(|b| b.jain)?, cov: median(|b| b.cov)?, p, kind })
}
