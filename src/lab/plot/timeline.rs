//! What goes on over time, a panel per strategy: latency per interval, and the depth of the accept queues.

use super::canvas::{Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Timeline {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// Unit of the values.
    pub unit: String,
    /// Whether factors are equally long.
    pub log: bool,
    /// What the tracks are called; the first is drawn in full.
    pub names: Vec<String>,
    /// What an alarm stands for.
    pub alarm: String,
    /// One per strategy.
    pub panels: Vec<Strategy>,
}

/// One strategy.
#[derive(Debug)]
pub struct Strategy {
    /// Heading.
    pub label: String,
    /// Colour and mark.
    pub look: Look,
    /// A line below the heading.
    pub note: String,
    /// One per name: seconds since the measured time began; middle, lower and upper end.
    pub tracks: Vec<Vec<(f64, [f64; 3])>>,
    /// Seconds at which something went wrong.
    pub alarms_s: Vec<f64>,
}

const PATTERNS: [Pattern; 3] = [Pattern::Solid, Pattern::Dotted, Pattern::Dashed];

impl Timeline {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let begin = self.panels.iter().flat_map(|p| &p.tracks).flatten().map(|(s, _)| *s).fold(0.0, f64::min);
        let mut keys = Vec::new();
        if self.names.len() > 1 {
            let key = |(name, pattern): (&String, Pattern)| Key {
                text: name.clone(),
                sample: Sample::Neutral(pattern),
            };
            keys.extend(self.names.iter().zip(PATTERNS).map(key));
        }
        if begin < 0.0 {
            keys.push(Key { text: "warm-up, not counted".into(), sample: Sample::Band });
        }
        if self.panels.iter().any(|panel| !panel.alarms_s.is_empty()) {
            keys.push(Key { text: self.alarm.clone(), sample: Sample::Alarm });
        }
        let panel = |strategy: &Strategy| Panel {
            heading: Some((strategy.label.clone(), Some(strategy.look))),
            note: strategy.note.clone(),
            lines: strategy
                .tracks
                .iter()
                .zip(PATTERNS)
                .map(|(track, pattern)| line(strategy, track, pattern))
                .collect(),
            shades: (begin < 0.0).then_some((begin, 0.0)).into_iter().collect(),
            alarms: strategy.alarms_s.clone(),
            ..Panel::default()
        };
        let lines = Lines {
            title: self.title.clone(),
            note: self.note.clone(),
            x: Dimension { name: "seconds".into(), ..Dimension::default() },
            y: vec![Dimension { name: self.unit.clone(), log: self.log, ..Dimension::default() }],
            panels: self.panels.iter().map(panel).collect(),
            keys,
            plot_height: 104.0,
            least_width: 200.0,
            most_columns: if self.panels.len() <= 4 { 2 } else { 3 },
            labels: false,
        };
        lines.draw(width)
    }
}

fn line(strategy: &Strategy, track: &[(f64, [f64; 3])], pattern: Pattern) -> Line {
    Line {
        look: Some(strategy.look),
        points: track.iter().map(|(s, [middle, ..])| (*s, *middle)).collect(),
        band: track.iter().map(|(s, [_, low, high])| (*s, *low, *high)).collect(),
        pattern,
        weight: 1.75,
        ..Line::default()
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
        let panel = |(label, look)| Strategy {
            label,
            look,
            note: "12 overflows, 3 drops".into(),
            tracks: vec![track(4.0), track(1.0)],
            alarms_s: vec![1.5, 2.0],
        };
        Timeline {
            title: "Latency over time, half load".into(),
            note: "Median over 12 runs of what each interval came to.".into(),
            unit: "ms".into(),
            log: true,
            names: vec!["p99".into(), "p50".into()],
            alarm: "connections dropped".into(),
            panels: strategies(count).into_iter().map(panel).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width).unwrap()), "", "{count} at {width} px");
        }
    }

    #[test]
    fn the_warm_up_is_shaded_and_alarms_are_explained() {
        let svg = sample(2).draw(crate::lab::plot::WIDE).unwrap().inline();
        assert!(svg.contains("warm-up, not counted") && svg.contains("connections dropped"));
    }
}
