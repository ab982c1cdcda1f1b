//! Percentile curves: latency over 1/(1-q), both logarithmic, a line per strategy and a band over its runs.
//!
//! Up to six strategies share a panel; beyond, each has its own, with the first one in grey to compare with.

use super::TOGETHER;
use super::canvas::{Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Percentiles {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// The strategies, the baseline first.
    pub curves: Vec<Curve>,
}

/// One strategy.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Direct label.
    pub label: String,
    /// Colour and mark.
    pub look: Look,
    /// Response time: log10 of 1/(1-q), and the middle, the lower and the upper end in ms.
    pub points: Vec<(f64, [f64; 3])>,
    /// Service time: log10 of 1/(1-q) and ms; empty where it is the same.
    pub service: Vec<(f64, f64)>,
}

/// Percentiles that are named on the axis, by log10 of 1/(1-q).
pub const NAMED: [(f64, &str); 6] = [
    (std::f64::consts::LOG10_2, "50 %"),
    (1.0, "90 %"),
    (2.0, "99 %"),
    (3.0, "99.9 %"),
    (4.0, "99.99 %"),
    (5.0, "99.999 %"),
];

impl Percentiles {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        self.lines(width).draw(width)
    }

    fn lines(&self, width: i32) -> Lines {
        let together = self.curves.len() <= TOGETHER;
        let panels = if together {
            vec![Panel { lines: self.curves.iter().flat_map(Curve::lines).collect(), ..Panel::default() }]
        } else {
            self.curves.iter().map(|curve| self.alone(curve)).collect()
        };
        let mut keys = Vec::new();
        if self.curves.iter().any(|curve| !curve.service.is_empty()) {
            keys.push(Key { text: "response time".into(), sample: Sample::Neutral(Pattern::Solid) });
            keys.push(Key { text: "service time".into(), sample: Sample::Neutral(Pattern::Dashed) });
        }
        if let (false, Some(first)) = (together, self.curves.first()) {
            let text = format!("{}, to compare with", first.label);
            keys.push(Key { text, sample: Sample::Neutral(Pattern::Dotted) });
        }
        Lines {
            title: self.title.clone(),
            note: self.note.clone(),
            x: Dimension {
                name: if together { "share of requests at least as fast" } else { "at least as fast" }.into(),
                ticks: NAMED.map(|(nines, name)| (nines, name.to_owned())).to_vec(),
                ..Dimension::default()
            },
            y: vec![Dimension { name: "ms".into(), log: true, ..Dimension::default() }],
            panels,
            keys,
            plot_height: if together { (f64::from(width) * 0.4).clamp(230.0, 310.0) } else { 140.0 },
            least_width: 165.0,
            most_columns: 4,
            labels: together,
        }
    }

    fn alone(&self, curve: &Curve) -> Panel {
        let first = &self.curves[0];
        let ghost = Line {
            points: first.points.iter().map(|(nines, [middle, ..])| (*nines, *middle)).collect(),
            opacity: 0.6,
            pattern: Pattern::Dotted,
            ..Line::default()
        };
        let own = curve.lines().into_iter().map(|line| Line { label: String::new(), ..line });
        Panel {
            heading: Some((curve.label.clone(), Some(curve.look))),
            lines: own.chain((curve.label != first.label).then_some(ghost)).collect(),
            ..Panel::default()
        }
    }
}

impl Curve {
    /// Service below response, so that the line that counts stays visible.
    fn lines(&self) -> Vec<Line> {
        let line: Vec<(f64, f64)> =
            self.points.iter().map(|(nines, [middle, ..])| (*nines, *middle)).collect();
        let named =
            line.iter().filter(|(nines, _)| NAMED.iter().any(|(name, _)| (name - nines).abs() < 0.02));
        let marks = named.copied().collect();
        let service = Line {
            look: Some(self.look),
            points: self.service.clone(),
            pattern: Pattern::Dashed,
            weight: 1.5,
            ..Line::default()
        };
        let response = Line {
            label: self.label.clone(),
            look: Some(self.look),
            marks,
            points: line,
            band: self.points.iter().map(|(nines, [_, low, high])| (*nines, *low, *high)).collect(),
            ..Line::default()
        };
        if self.service.is_empty() { vec![response] } else { vec![service, response] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize) -> Percentiles {
        let curve = |(index, (label, look)): (usize, (String, Look))| {
            let at = |step: u32| {
                (0.3 + f64::from(step) / 24.0, 2.0 + index as f64 * 0.2 + f64::from(step * step) / 90.0)
            };
            let points = (0..80).map(at).map(|(nines, ms)| (nines, [ms, ms * 0.9, ms * 1.1])).collect();
            Curve { label, look, points, service: (0..80).map(at).map(|(n, ms)| (n, ms * 0.6)).collect() }
        };
        Percentiles {
            title: "Response time, full load".into(),
            note: "16 connections at once. Line: median of 12 runs. Band: 95 % interval of the median."
                .into(),
            curves: strategies(count).into_iter().enumerate().map(curve).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width).unwrap()), "", "{count} at {width} px");
        }
    }

    #[test]
    fn response_is_solid_and_service_is_dashed() {
        let svg = sample(1).draw(crate::lab::plot::WIDE).unwrap().inline();
        let dashed =
            svg.lines().filter(|line| line.contains("#0072B2") && line.contains("dasharray")).count();
        assert_eq!(dashed, 1);
        assert!(svg.contains("service time"));
    }

    #[test]
    fn a_figure_without_runs_says_so() {
        assert!(sample(0).draw(crate::lab::plot::WIDE).unwrap().inline().contains("no run to draw"));
    }
}
