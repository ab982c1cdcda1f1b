//! Shares of the workers: bars from the busiest to the idlest, the fair share as a line, a dot per run.
//!
//! plotters is only the pen here: its histogram counts values, while these bars are ranks with given heights, with dots
//! and values placed relative to a bar.

use super::canvas::{Anchor, Canvas, Caption, Figure, INK, Pattern, SOFT, TICK, figure, stroke};
use super::layout::{Panels, Px};
use super::style::Style;

#[derive(Debug)]
pub struct Shares {
    pub caption: Caption,
    pub strategies: Vec<StrategyShares>,
    /// The share of every worker if all had the same, 0 to 1.
    pub fair: f64,
}

#[derive(Debug)]
pub struct StrategyShares {
    pub label: String,
    pub style: Style,
    /// A line below the heading, such as Jain's index.
    pub note: String,
    /// Per worker, largest first: the height of the bar and the value in each run, 0 to 1.
    pub bars: Vec<(f64, Vec<f64>)>,
}

const HEAD: f64 = 46.0;
const BARS: f64 = 146.0;
const FOOT: f64 = 40.0;
/// More dots in a panel would be a cloud.
const MOST_DOTS: usize = 200;

impl Shares {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let top = self.caption.height(f64::from(width));
        let panels = Panels::new(self.strategies.len(), f64::from(width), 150.0, 22.0, 4);
        let row = HEAD + BARS + FOOT;
        figure(width, top + row * panels.rows as f64 - 12.0, &self.caption, |canvas| {
            for (index, strategy) in self.strategies.iter().enumerate() {
                self.panel(canvas, strategy, panels.corner(index, top, row), panels.width.min(260.0));
            }
        })
    }

    fn panel(&self, canvas: &Canvas, strategy: &StrategyShares, (left, top): Px, width: f64) {
        canvas.heading((left, top), &strategy.label, Some(strategy.style), &strategy.note, width);
        let (base, ceiling) = (top + HEAD + BARS, top + HEAD + 18.0);
        let scale = self.ceiling();
        let y = |share: f64| base - (base - ceiling) * share / scale;
        let slot = width / strategy.bars.len().max(1) as f64;
        let dots: usize = strategy.bars.iter().map(|(_, runs)| runs.len()).sum();
        for (index, (height, runs)) in strategy.bars.iter().enumerate() {
            let from = left + slot * index as f64 + slot * 0.1;
            let bar = slot * 0.8;
            canvas.rectangle((from, y(*height)), (from + bar, base), strategy.style.colour, 0.8);
            for (run, share) in runs.iter().enumerate().filter(|_| dots <= MOST_DOTS) {
                let x = from + bar * (run as f64 + 1.0) / (runs.len() as f64 + 1.0);
                canvas.dot((x, y(*share)), 2.0, INK, 0.85);
            }
            if slot >= 34.0 {
                let peak = runs.iter().copied().fold(*height, f64::max).max(self.fair);
                let percent = format!("{:.1}", height * 100.0);
                canvas.text((from + bar / 2.0, y(peak) - 11.0), &percent, TICK, 1.0, Anchor::Middle);
            }
        }
        let fair = [(left, y(self.fair)), (left + width, y(self.fair))];
        canvas.path(&fair, stroke(INK, 0.8, 1.0, Pattern::Dashed));
        canvas.line(&[(left, base), (left + width, base)], INK, 0.5, 1.0);
        canvas.text((left, base + 13.0), "busiest", TICK, SOFT, Anchor::Left);
        canvas.text((left + width, base + 13.0), "idlest", TICK, SOFT, Anchor::Right);
    }

    /// One scale for all panels.
    fn ceiling(&self) -> f64 {
        let shares = self.strategies.iter().flat_map(|strategy| &strategy.bars);
        shares
            .flat_map(|(height, runs)| runs.iter().chain([height]))
            .copied()
            .fold(self.fair * 1.25, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies_and_workers() {
        for ((count, width), workers) in COUNTS.into_iter().zip([2, 4, 12, 64].into_iter().cycle()) {
            let fair = 1.0 / f64::from(workers);
            let bar = |rank: i32| (fair * 1.5 - f64::from(rank) * fair * fair, vec![fair; 3]);
            let strategy = |(label, style)| StrategyShares {
                label,
                style,
                note: "Jain 0.9991, spread 2.97 %".into(),
                bars: (0..workers).map(bar).collect(),
            };
            let shares = Shares {
                caption: Caption::new(
                    "Who gets the connections, full load",
                    "Share of the workers in %, busiest first. Dots: the runs. Dashed: the fair share.",
                ),
                strategies: strategies(count).into_iter().map(strategy).collect(),
                fair,
            };
            assert_eq!(clashes(&shares.draw(width)), "", "{count} at {width} px, {workers} workers");
        }
    }
}
