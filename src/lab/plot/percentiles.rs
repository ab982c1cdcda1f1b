//! Percentile curves: latency over 1/(1-q), both logarithmic, a line per strategy and a band over its runs.
//!
//! Up to six strategies share a panel; beyond, each has its own, with the first one in grey for comparison.

use std::f64::consts::LOG10_2;

use super::TOGETHER;
use super::canvas::{Caption, Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::style::Style;

#[derive(Debug)]
pub struct Percentiles {
    pub caption: Caption,
    pub curves: Vec<Curve>,
}

#[derive(Clone, Debug)]
pub struct Curve {
    pub label: String,
    pub style: Style,
    /// Response time: log10 of 1/(1-q), and the middle, the lower and the upper end in ms.
    pub points: Vec<(f64, [f64; 3])>,
    /// Service time: log10 of 1/(1-q) and ms; empty if it equals the response time.
    pub service: Vec<(f64, f64)>,
}

/// Percentiles named on the axis, by log10 of 1/(1-q).
pub const NAMED: [(f64, &str); 6] =
    [(LOG10_2, "50 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"), (5.0, "99.999 %")];

/// The axis of percentiles; its name is short where panels are narrow.
pub fn dimension(wide: bool) -> Dimension {
    Dimension {
        name: if wide { "share of requests at least as fast" } else { "at least as fast" }.into(),
        ticks: NAMED.map(|(nines, name)| (nines, name.to_owned())).to_vec(),
        ..Dimension::default()
    }
}

impl Percentiles {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let together = self.curves.len() <= TOGETHER;
        let panels = if together {
            vec![Panel { lines: self.curves.iter().flat_map(Curve::lines).collect(), ..Panel::default() }]
        } else {
            self.curves.iter().map(|curve| self.alone(curve)).collect()
        };
        let mut keys = Vec::new();
        if self.curves.iter().any(|curve| !curve.service.is_empty()) {
            keys.push(Key::new("response time", Sample::Neutral(Pattern::Solid)));
            keys.push(Key::new("service time", Sample::Neutral(Pattern::Dashed)));
        }
        if let (false, Some(first)) = (together, self.curves.first()) {
            let text = format!("{}, for comparison", first.label);
            keys.push(Key::new(text, Sample::Neutral(Pattern::Dotted)));
        }
        let lines = Lines {
            caption: self.caption.clone(),
            x: dimension(together),
            y: vec![Dimension::new("ms", true)],
            panels,
            keys,
            plot_height: if together { (f64::from(width) * 0.4).clamp(230.0, 310.0) } else { 140.0 },
            least_width: 165.0,
            most_columns: 4,
            labels: together,
        };
        lines.draw(width)
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
            heading: Some((curve.label.clone(), Some(curve.style))),
            lines: own.chain((curve.label != first.label).then_some(ghost)).collect(),
            ..Panel::default()
        }
    }
}

impl Curve {
    /// Service below response, so that the more important line stays visible.
    fn lines(&self) -> Vec<Line> {
        let service = Line {
            style: Some(self.style),
            points: self.service.clone(),
            pattern: Pattern::Dashed,
            weight: 1.5,
            ..Line::default()
        };
        let response = Line::banded(&self.points, Some(self.style));
        let named = |nines: f64| NAMED.iter().any(|(name, _)| (name - nines).abs() < 0.02);
        let response = Line {
            label: self.label.clone(),
            marks: response.points.iter().filter(|(nines, _)| named(*nines)).copied().collect(),
            ..response
        };
        if self.service.is_empty() { vec![response] } else { vec![service, response] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize) -> Percentiles {
        let curve = |(index, (label, style)): (usize, (String, Style))| {
            let at = |step: u32| {
                (0.3 + f64::from(step) / 24.0, 2.0 + index as f64 * 0.2 + f64::from(step * step) / 90.0)
            };
            let points = (0..80).map(at).map(|(nines, ms)| (nines, [ms, ms * 0.9, ms * 1.1])).collect();
            Curve { label, style, points, service: (0..80).map(at).map(|(n, ms)| (n, ms * 0.6)).collect() }
        };
        Percentiles {
            caption: Caption::new(
                "Response time, full load",
                "16 connections at once. Line: median of 12 runs. Band: 95 % interval of the median.",
            ),
            curves: strategies(count).into_iter().enumerate().map(curve).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width)), "", "{count} at {width} px");
        }
    }

    #[test]
    fn response_is_solid_and_service_is_dashed() {
        let svg = sample(1).draw(crate::lab::plot::WIDE).inline();
        let dashed =
            svg.lines().filter(|line| line.contains("#0072B2") && line.contains("dasharray")).count();
        assert_eq!(dashed, 1);
        assert!(svg.contains("service time"));
    }

    #[test]
    fn a_figure_without_runs_says_so() {
        assert!(sample(0).draw(crate::lab::plot::WIDE).inline().contains("no run to draw"));
    }
}
