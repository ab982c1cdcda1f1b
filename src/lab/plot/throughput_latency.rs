//! Throughput against latency: p50, p99 and p99.9 over the offered rate, and where the server falls behind.

use super::TOGETHER;
use super::canvas::{Caption, Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::style::Style;

#[derive(Debug)]
pub struct ThroughputLatency {
    pub caption: Caption,
    pub strategies: Vec<StrategyRates>,
}

#[derive(Debug)]
pub struct StrategyRates {
    pub label: String,
    pub style: Style,
    pub rates: Vec<OfferedRate>,
}

#[derive(Clone, Copy, Debug)]
pub struct OfferedRate {
    pub offered: f64,
    /// p50, p99 and p99.9 in ms: middle, lower and upper end over the runs.
    pub latency_ms: [[f64; 3]; 3],
    /// Whether fewer requests were answered than offered.
    pub behind: bool,
}

const PERCENTILES: [&str; 3] = ["p50", "p99", "p99.9"];
const PATTERNS: [Pattern; 3] = [Pattern::Dotted, Pattern::Dashed, Pattern::Solid];

impl ThroughputLatency {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let together = self.strategies.len() <= TOGETHER;
        let mut keys: Vec<Key> = if together {
            self.strategies.iter().map(|s| Key::new(s.label.clone(), Sample::Strategy(s.style))).collect()
        } else {
            PERCENTILES
                .into_iter()
                .zip(PATTERNS)
                .map(|(p, pattern)| Key::new(p, Sample::Neutral(pattern)))
                .collect()
        };
        if self.strategies.iter().flat_map(|strategy| &strategy.rates).any(|rate| rate.behind) {
            keys.push(Key::new("fewer answered than offered", Sample::Ring));
        }
        let panels = if together {
            (0..3).map(|rank| self.percentile(rank)).collect()
        } else {
            self.strategies.iter().map(StrategyRates::alone).collect()
        };
        let lines = Lines {
            caption: self.caption.clone(),
            x: Dimension::new("offered requests/s", false),
            y: vec![Dimension::new("ms", true)],
            panels,
            keys,
            plot_height: if together { 200.0 } else { 140.0 },
            least_width: if together { 215.0 } else { 165.0 },
            most_columns: if together { 3 } else { 4 },
            labels: false,
        };
        lines.draw(width)
    }

    fn percentile(&self, rank: usize) -> Panel {
        Panel {
            heading: Some((PERCENTILES[rank].into(), None)),
            lines: self.strategies.iter().map(|strategy| strategy.line(rank)).collect(),
            ..Panel::default()
        }
    }
}

impl StrategyRates {
    fn line(&self, rank: usize) -> Line {
        let values: Vec<_> = self.rates.iter().map(|rate| (rate.offered, rate.latency_ms[rank])).collect();
        let line = Line::banded(&values, Some(self.style));
        let behind = self.rates.iter().zip(&line.points).filter(|(rate, _)| rate.behind);
        Line { rings: behind.map(|(_, point)| *point).collect(), marks: line.points.clone(), ..line }
    }

    fn alone(&self) -> Panel {
        let lines = (0..3).map(|rank| Line { band: Vec::new(), pattern: PATTERNS[rank], ..self.line(rank) });
        Panel {
            heading: Some((self.label.clone(), Some(self.style))),
            lines: lines.collect(),
            ..Panel::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize) -> ThroughputLatency {
        let rate = |step: u32| {
            let ms = 1.0 + f64::from(step.pow(3)) / 9.0;
            let latency_ms = [1.0, 4.0, 9.0].map(|f| [ms * f, ms * f * 0.9, ms * f * 1.2]);
            OfferedRate { offered: f64::from(step) * 400.0, latency_ms, behind: step == 6 }
        };
        let strategy = |(label, style)| StrategyRates { label, style, rates: (1..=6).map(rate).collect() };
        ThroughputLatency {
            caption: Caption::new(
                "Latency against throughput",
                "Median over runs; band: from the lowest run to the highest.",
            ),
            strategies: strategies(count).into_iter().map(strategy).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width)), "", "{count} at {width} px");
        }
    }

    #[test]
    fn loads_at_which_a_server_falls_behind_are_ringed_in_every_panel() {
        let svg = sample(1).draw(crate::lab::plot::WIDE).inline();
        assert!(svg.contains("fewer answered than offered"));
        assert_eq!(svg.matches("r=\"60\"").count(), 3, "{svg}");
    }
}
