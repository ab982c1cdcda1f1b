//! Resources and speed of a server over a long time, a panel per measure, with the faults at the upper edge.

use super::canvas::{Caption, Figure};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::style::Style;
use super::timeline::PATTERNS;

#[derive(Debug)]
pub struct Endurance {
    pub caption: Caption,
    pub style: Style,
    pub measures: Vec<Measure>,
    /// Seconds at which faults occurred.
    pub faults_s: Vec<f64>,
}

/// One quantity over time.
#[derive(Debug)]
pub struct Measure {
    pub name: String,
    pub unit: String,
    pub log: bool,
    /// Names of the lines, and their points: seconds and value.
    pub tracks: Vec<(String, Vec<(f64, f64)>)>,
}

/// Runs of this length have an axis in minutes.
const MINUTES_FROM_S: f64 = 240.0;

impl Endurance {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let points = self.measures.iter().flat_map(|measure| &measure.tracks).flat_map(|(_, points)| points);
        let last_s = points.map(|(at_s, _)| *at_s).fold(0.0, f64::max);
        let (unit_s, name) = if last_s >= MINUTES_FROM_S { (60.0, "minutes") } else { (1.0, "seconds") };
        let mut keys = Vec::new();
        if !self.faults_s.is_empty() {
            keys.push(Key::new("a fault", Sample::Alarm));
        }
        let several = self.measures.iter().filter(|measure| measure.tracks.len() > 1);
        for ((name, _), pattern) in several.flat_map(|measure| measure.tracks.iter().zip(PATTERNS)) {
            keys.push(Key::new(name.clone(), Sample::Neutral(pattern)));
        }
        let line = |points: &[(f64, f64)], pattern| Line {
            style: Some(self.style),
            points: points.iter().map(|(at_s, value)| (at_s / unit_s, *value)).collect(),
            pattern,
            weight: 1.25,
            ..Line::default()
        };
        let panel = |(index, measure): (usize, &Measure)| Panel {
            heading: Some((measure.name.clone(), None)),
            y: index,
            lines: measure
                .tracks
                .iter()
                .zip(PATTERNS)
                .map(|((_, track), pattern)| line(track, pattern))
                .collect(),
            alarms: self.faults_s.iter().map(|at_s| at_s / unit_s).collect(),
            ..Panel::default()
        };
        let lines = Lines {
            caption: self.caption.clone(),
            x: Dimension::new(name, false),
            y: self.measures.iter().map(|measure| Dimension::new(&measure.unit, measure.log)).collect(),
            panels: self.measures.iter().enumerate().map(panel).collect(),
            keys,
            plot_height: 84.0,
            least_width: 320.0,
            most_columns: 1,
            labels: false,
        };
        lines.draw(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::clashes;
    use crate::lab::plot::{NARROW, WIDE, style};

    fn sample(seconds: i32) -> Endurance {
        let track = |scale: f64| -> Vec<_> {
            (0..seconds)
                .step_by(2)
                .map(|s| (f64::from(s), scale * (2.0 + (f64::from(s) * 1.3).sin())))
                .collect()
        };
        let measure = |name: &str, unit: &str, tracks| Measure {
            name: name.into(),
            unit: unit.into(),
            log: false,
            tracks,
        };
        Endurance {
            caption: Caption::new(
                "What the server has over time, mixed traffic",
                "Faults at random times from a seed.",
            ),
            style: style("inherited", false),
            measures: vec![
                measure("Memory", "MiB", vec![(String::new(), track(2.0))]),
                measure("Response times", "ms", vec![("p99".into(), track(9.0)), ("p50".into(), track(1.0))]),
            ],
            faults_s: vec![3.0, 50.0, 51.0],
        }
    }

    #[test]
    fn no_two_texts_meet_and_long_times_are_told_in_minutes() {
        for (seconds, unit) in [(100, "seconds"), (3600, "minutes")] {
            for width in [NARROW, WIDE] {
                let figure = sample(seconds).draw(width);
                assert_eq!(clashes(&figure), "", "{seconds} s at {width} px");
                let svg = figure.inline();
                assert!(svg.contains(unit) && svg.contains("a fault") && svg.contains("p99"), "{svg}");
            }
        }
    }
}
