//! The effect of a fault: rate, latency and the share of the affected worker around the time of the fault.

use super::canvas::{Caption, Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::style::Style;

#[derive(Debug)]
pub struct Recovery {
    pub caption: Caption,
    pub strategies: Vec<StrategyRecovery>,
}

/// Seconds since the fault; the middle, the lower and the upper end over the runs.
pub type Track = Vec<(f64, [f64; 3])>;

#[derive(Debug)]
pub struct StrategyRecovery {
    pub label: String,
    pub style: Style,
    /// The losses, as text.
    pub note: String,
    /// Duration of the fault, if it ended.
    pub lasted_s: Option<f64>,
    /// Requests completed per second.
    pub rate: Track,
    /// p99 of the requests that were due in an interval, ms.
    pub p99_ms: Track,
    /// Connections per second that the affected worker accepted.
    pub hit: Track,
    /// The mean of the other workers.
    pub others: Track,
}

impl Recovery {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let has = |of: fn(&StrategyRecovery) -> &Track| {
            self.strategies.iter().any(|strategy| !of(strategy).is_empty())
        };
        let there = [has(|s| &s.rate), has(|s| &s.p99_ms), has(|s| &s.hit)];
        let columns: Vec<usize> = (0..3).filter(|column| there[*column]).collect();
        let mut keys = vec![Key::new("the fault", Sample::Neutral(Pattern::Dashed))];
        if columns.contains(&2) {
            keys.push(Key::new("each other worker", Sample::Neutral(Pattern::Dotted)));
        }
        let panels =
            self.strategies.iter().flat_map(|strategy| columns.iter().map(|column| strategy.panel(*column)));
        let lines = Lines {
            caption: self.caption.clone(),
            x: Dimension::new("seconds since the fault", false),
            y: vec![
                Dimension::new("completed/s", false),
                Dimension::new("p99, ms", true),
                Dimension::new("accepted/s by the hit worker", false),
            ],
            panels: panels.collect(),
            keys,
            plot_height: 96.0,
            least_width: 200.0,
            most_columns: columns.len(),
            labels: false,
        };
        lines.draw(width)
    }
}

impl StrategyRecovery {
    fn panel(&self, column: usize) -> Panel {
        let own = |track: &Track| Line { weight: 1.75, ..Line::banded(track, Some(self.style)) };
        let others = || Line {
            band: Vec::new(),
            pattern: Pattern::Dotted,
            weight: 1.75,
            ..Line::banded(&self.others, None)
        };
        let lines = match column {
            0 => vec![own(&self.rate)],
            1 => vec![own(&self.p99_ms)],
            _ => vec![others(), own(&self.hit)],
        };
        Panel {
            heading: Some((self.label.clone(), Some(self.style))),
            note: match column {
                0 => self.note.clone(),
                2 if self.hit.is_empty() => "not counted".into(),
                _ => String::new(),
            },
            y: column,
            lines,
            shades: self.lasted_s.map(|s| (0.0, s)).into_iter().collect(),
            uprights: vec![(0.0, String::new())],
            ..Panel::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize) -> Recovery {
        let track = |scale: f64| -> Track {
            let value = |n: i32| if (0..3).contains(&n) { scale * 0.4 } else { scale };
            (-4..12).map(|n| (f64::from(n) / 4.0, [value(n), value(n) * 0.9, value(n) * 1.1])).collect()
        };
        let strategy = |(label, style)| StrategyRecovery {
            label,
            style,
            note: "4 errors per run".into(),
            lasted_s: Some(0.5),
            rate: track(15_000.0),
            p99_ms: track(3.0),
            hit: track(3_700.0),
            others: track(3_800.0),
        };
        Recovery {
            caption: Caption::new("A worker is stopped for 0.5 s, half load", "Median over runs."),
            strategies: strategies(count).into_iter().map(strategy).collect(),
        }
    }

    #[test]
    fn a_moment_alone_is_seen() {
        let mut short = sample(1);
        let circles = |recovery: &Recovery| recovery.draw(600).file().matches("<circle").count();
        let before = circles(&short);
        short.strategies[0].rate.truncate(1);
        assert_eq!(circles(&short), before + 1);
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width)), "", "{count} at {width} px");
        }
    }

    #[test]
    fn measures_without_data_are_not_drawn() {
        let mut recovery = sample(2);
        recovery.strategies.iter_mut().for_each(|strategy| strategy.hit.clear());
        let svg = recovery.draw(crate::lab::plot::WIDE).inline();
        assert!(svg.contains("completed/s") && !svg.contains("hit worker"), "{svg}");
    }
}
