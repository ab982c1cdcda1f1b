//! Values over time, a panel per strategy: latency per interval, and the length of the accept queues.

use super::canvas::{Caption, Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::style::Style;

#[derive(Debug)]
pub struct Timeline {
    pub caption: Caption,
    pub unit: String,
    pub log: bool,
    /// Of the tracks; the first is solid.
    pub names: Vec<String>,
    /// The meaning of an alarm.
    pub alarm: String,
    pub strategies: Vec<StrategyTimeline>,
}

#[derive(Debug)]
pub struct StrategyTimeline {
    pub label: String,
    pub style: Style,
    /// A line below the heading.
    pub note: String,
    /// One per name: seconds since the measurement began; middle, lower and upper end.
    pub tracks: Vec<Vec<(f64, [f64; 3])>>,
    /// Seconds at which an error occurred.
    pub alarms_s: Vec<f64>,
}

pub const PATTERNS: [Pattern; 3] = [Pattern::Solid, Pattern::Dotted, Pattern::Dashed];

impl Timeline {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let times = self.strategies.iter().flat_map(|s| &s.tracks).flatten().map(|(at_s, _)| *at_s);
        let begin = times.fold(0.0, f64::min);
        let mut keys = Vec::new();
        if self.names.len() > 1 {
            let names = self.names.iter().zip(PATTERNS);
            keys.extend(names.map(|(name, pattern)| Key::new(name.clone(), Sample::Neutral(pattern))));
        }
        if begin < 0.0 {
            keys.push(Key::new("warm-up, not counted", Sample::Band));
        }
        if self.strategies.iter().any(|strategy| !strategy.alarms_s.is_empty()) {
            keys.push(Key::new(self.alarm.clone(), Sample::Alarm));
        }
        let panel = |strategy: &StrategyTimeline| Panel {
            heading: Some((strategy.label.clone(), Some(strategy.style))),
            note: strategy.note.clone(),
            lines: strategy.lines(),
            shades: (begin < 0.0).then_some((begin, 0.0)).into_iter().collect(),
            alarms: strategy.alarms_s.clone(),
            ..Panel::default()
        };
        let lines = Lines {
            caption: self.caption.clone(),
            x: Dimension::new("seconds", false),
            y: vec![Dimension::new(&self.unit, self.log)],
            panels: self.strategies.iter().map(panel).collect(),
            keys,
            plot_height: 104.0,
            least_width: 200.0,
            most_columns: if self.strategies.len() <= 4 { 2 } else { 3 },
            labels: false,
        };
        lines.draw(width)
    }
}

impl StrategyTimeline {
    fn lines(&self) -> Vec<Line> {
        let line =
            |track: &[_], pattern| Line { pattern, weight: 1.75, ..Line::banded(track, Some(self.style)) };
        self.tracks.iter().zip(PATTERNS).map(|(track, pattern)| line(track, pattern)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize) -> Timeline {
        let track = |scale: f64| -> Vec<_> {
            let value = |n: i32| scale * (2.0 + (f64::from(n) * 1.3).sin());
            (-3..20).map(|n| (f64::from(n) / 4.0, [value(n), value(n) * 0.8, value(n) * 1.5])).collect()
        };
        let strategy = |(label, style)| StrategyTimeline {
            label,
            style,
            note: "12 overflows, 3 drops".into(),
            tracks: vec![track(4.0), track(1.0)],
            alarms_s: vec![1.5, 2.0],
        };
        Timeline {
            caption: Caption::new(
                "Latency over time, half load",
                "Median over 12 runs of what each interval came to.",
            ),
            unit: "ms".into(),
            log: true,
            names: vec!["p99".into(), "p50".into()],
            alarm: "connections dropped".into(),
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
    fn the_warm_up_is_shaded_and_alarms_are_explained() {
        let svg = sample(2).draw(crate::lab::plot::WIDE).inline();
        assert!(svg.contains("warm-up, not counted") && svg.contains("connections dropped"));
    }
}
