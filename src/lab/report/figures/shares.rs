//! Shares of the workers.

use super::{about, shown, style_of};
use crate::lab::judge::{CellResult, ENOUGH_ROUNDS, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::shares::{Shares, StrategyShares};
use crate::lab::report::text::percent;
use crate::measure::stats;

/// `None` if connections were not counted.
pub fn shares(scene: &Scene) -> Option<Shares> {
    let strategy = |result: &CellResult| {
        let spread = result.spread?;
        let rank = |rank: usize| -> Vec<f64> {
            result.shares.iter().filter_map(|shares| shares.get(rank).copied()).collect()
        };
        let workers = result.shares.iter().map(Vec::len).max().unwrap_or(0);
        let bars = (0..workers).map(|r| (stats::median(&rank(r)).unwrap_or(0.0), rank(r)));
        Some(StrategyShares {
            label: result.cell.name(),
            style: style_of(&result.cell),
            note: format!("Jain {:.4}, CoV {}", spread.jain, percent(spread.cov, 1)),
            bars: bars.collect(),
        })
    };
    let fair = 1.0 / scene.group.levels.workers.max(1) as f64;
    let few = scene.results.iter().all(|result| result.used < ENOUGH_ROUNDS);
    let strategies: Vec<StrategyShares> = shown(scene).filter_map(strategy).collect();
    (!strategies.is_empty()).then(|| Shares {
        caption: Caption::new(
            format!("Who gets the connections, {}", about(scene)),
            format!(
                "Share of {} workers in %, busiest first. {}. Dashed: the fair share, {}.",
                scene.group.levels.workers,
                if few { "Dots: the runs" } else { "Dots: runs" },
                percent(fair, 1)
            ),
        ),
        strategies,
        fair,
    })
}
