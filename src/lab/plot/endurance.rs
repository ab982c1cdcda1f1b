//! What a server has and how quick it is over a long time, a panel per figure, with the faults at its upper edge.

use super::canvas::{Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Endurance {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// Of the lines.
    pub look: Look,
    /// The figures.
    pub measures: Vec<Measure>,
    /// Seconds at which a fault came.
    pub faults_s: Vec<f64>,
}

/// One figure over time.
#[derive(Debug)]
pub struct Measure {
    /// Heading.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// Whether factors are equally long.
    pub log: bool,
    /// What its lines are called, and the points of each: seconds and value.
    pub tracks: Vec<(String, Vec<(f64, f64)>)>,
}

const PATTERNS: [Pattern; 3] = [Pattern::Solid, Pattern::Dotted, Pattern::Dashed];
/// Times from here on are told in minutes.
const MINUTES_FROM_S: f64 = 240.0;

impl Endurance {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let points = self.measures.iter().flat_map(|measure| &measure.tracks).flat_map(|(_, points)| points);
        let last_s = points.map(|(at_s, _)| *at_s).fold(0.0, f64::max);
        let (unit_s, name) = if last_s >= MINUTES_FROM_S { (60.0, "minutes") } else { (1.0, "seconds") };
        let mut keys = Vec::new();
        if !self.faults_s.is_empty() {
            keys.push(Key { text: "a fault".into(), sample: Sample::Alarm });
        }
        let several = self.measures.iter().filter(|measure| measure.tracks.len() > 1);
        for (track, pattern) in several.flat_map(|measure| measure.tracks.iter().zip(PATTERNS)) {
            keys.push(Key { text: track.0.clone(), sample: Sample::Neutral(pattern) });
        }
        let panel = |(index, measure): (usize, &Measure)| Panel {
            heading: Some((measure.name.clone(), None)),
            y: index,
            lines: measure
                .tracks
                .iter()
                .zip(PATTERNS)
                .map(|(track, pattern)| self.line(track, pattern, unit_s))
                .collect(),
            alarms: self.faults_s.iter().map(|at_s| at_s / unit_s).collect(),
            ..Panel::default()
        };
        let dimension = |measure: &Measure| Dimension {
            name: measure.unit.clone(),
            log: measure.log,
            ..Dimension::default()
        };
        let lines = Lines {
            title: self.title.clone(),
            note: self.note.clone(),
            x: Dimension { name: name.into(), ..Dimension::default() },
            y: self.measures.iter().map(dimension).collect(),
            panels: self.measures.iter().enumerate().map(panel).collect(),
            keys,
            plot_height: 84.0,
            least_width: 320.0,
            most_columns: 1,
            labels: false,
        };
        lines.draw(width)
    }

    fn line(&self, (_, points): &(String, Vec<(f64, f64)>), pattern: Pattern, unit_s: f64) -> Line {
        Line {
            look: Some(self.look),
            points: points.iter().map(|(at_s, value)| (at_s / unit_s, *value)).collect(),
            pattern,
            weight: 1.25,
            ..Line::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::clashes;
    use crate::lab::plot::{NARROW, WIDE, look};

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
            title: "What the server has over time, mixed traffic".into(),
            note: "Faults at random times from a seed.".into(),
            look: look("inherited", false),
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
                let figure = sample(seconds).draw(width).unwrap();
                assert_eq!(clashes(&figure), "", "{seconds} s at {width} px");
                let svg = figure.inline();
                assert!(svg.contains(unit) && svg.contains("a fault") && svg.contains("p99"), "{svg}");
            }
        }
    }
}
