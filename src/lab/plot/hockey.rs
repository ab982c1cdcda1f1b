//! Throughput against latency: what the offered rate does to p50, p99 and p99.9, and where the server falls behind.

use super::TOGETHER;
use super::canvas::{Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Hockey {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// The strategies.
    pub curves: Vec<Curve>,
}

/// One strategy.
#[derive(Debug)]
pub struct Curve {
    /// Name.
    pub label: String,
    /// Colour and mark.
    pub look: Look,
    /// By rising rate.
    pub points: Vec<Point>,
}

/// One load.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Requests per second that were offered.
    pub offered: f64,
    /// p50, p99 and p99.9 in ms: middle, lower and upper end over the runs.
    pub latency_ms: [[f64; 3]; 3],
    /// Whether fewer requests were answered than offered.
    pub behind: bool,
}

const PERCENTILES: [&str; 3] = ["p50", "p99", "p99.9"];
const PATTERNS: [Pattern; 3] = [Pattern::Dotted, Pattern::Dashed, Pattern::Solid];

impl Hockey {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let together = self.curves.len() <= TOGETHER;
        let mut keys: Vec<Key> = Vec::new();
        let panels = if together {
            let key = |curve: &Curve| Key { text: curve.label.clone(), sample: Sample::Strategy(curve.look) };
            keys.extend(self.curves.iter().map(key));
            (0..3).map(|rank| self.percentile(rank)).collect()
        } else {
            let key = |(name, pattern): (&str, Pattern)| Key {
                text: name.into(),
                sample: Sample::Neutral(pattern),
            };
            keys.extend(PERCENTILES.into_iter().zip(PATTERNS).map(key));
            self.curves.iter().map(Curve::alone).collect()
        };
        if self.curves.iter().flat_map(|curve| &curve.points).any(|point| point.behind) {
            keys.push(Key { text: "fewer answered than offered".into(), sample: Sample::Ring });
        }
        let lines = Lines {
            title: self.title.clone(),
            note: self.note.clone(),
            x: Dimension { name: "offered requests/s".into(), ..Dimension::default() },
            y: vec![Dimension { name: "ms".into(), log: true, ..Dimension::default() }],
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
            lines: self.curves.iter().map(|curve| curve.line(rank, Pattern::Solid)).collect(),
            ..Panel::default()
        }
    }
}

impl Curve {
    fn line(&self, rank: usize, pattern: Pattern) -> Line {
        let points: Vec<_> = self.points.iter().map(|p| (p.offered, p.latency_ms[rank][0])).collect();
        let behind = |(p, point): (&Point, &(f64, f64))| p.behind.then_some(*point);
        Line {
            look: Some(self.look),
            pattern,
            band: self
                .points
                .iter()
                .map(|p| (p.offered, p.latency_ms[rank][1], p.latency_ms[rank][2]))
                .collect(),
            rings: self.points.iter().zip(&points).filter_map(behind).collect(),
            marks: points.clone(),
            points,
            ..Line::default()
        }
    }

    fn alone(&self) -> Panel {
        let lines = (0..3).map(|rank| Line { band: Vec::new(), ..self.line(rank, PATTERNS[rank]) });
        Panel {
            heading: Some((self.label.clone(), Some(self.look))),
            lines: lines.collect(),
            ..Panel::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize) -> Hockey {
        let point = |step: u32| {
            let ms = 1.0 + f64::from(step.pow(3)) / 9.0;
            let latency_ms = [1.0, 4.0, 9.0].map(|f| [ms * f, ms * f * 0.9, ms * f * 1.2]);
            Point { offered: f64::from(step) * 400.0, latency_ms, behind: step == 6 }
        };
        let curve = |(label, look)| Curve { label, look, points: (1..=6).map(point).collect() };
        Hockey {
            title: "Latency against throughput".into(),
            note: "Median over runs; band: from the lowest run to the highest.".into(),
            curves: strategies(count).into_iter().map(curve).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width).unwrap()), "", "{count} at {width} px");
        }
    }

    #[test]
    fn loads_at_which_a_server_falls_behind_are_ringed_in_every_panel() {
        let svg = sample(1).draw(crate::lab::plot::WIDE).unwrap().inline();
        assert!(svg.contains("fewer answered than offered"));
        assert_eq!(svg.matches("r=\"60\"").count(), 3, "{svg}");
    }
}
