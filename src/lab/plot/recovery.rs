//! What a fault does: rate, latency and the hit worker's part around the time at which it struck.

use super::canvas::{Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::look::Look;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Recovery {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// The strategies.
    pub strategies: Vec<Strategy>,
}

/// Seconds since the fault; the middle, the lower and the upper end over the runs.
pub type Track = Vec<(f64, [f64; 3])>;

/// One strategy.
#[derive(Debug)]
pub struct Strategy {
    /// Name.
    pub label: String,
    /// Colour and mark.
    pub look: Look,
    /// What was lost, in words.
    pub note: String,
    /// How long it lasted, where it ended.
    pub lasted_s: Option<f64>,
    /// Requests completed per second.
    pub rate: Track,
    /// p99 of the requests that were completed in an interval, ms.
    pub p99_ms: Track,
    /// Connections per second that the hit worker accepted.
    pub hit: Track,
    /// The same of each other worker, on average.
    pub others: Track,
}

impl Recovery {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let has =
            |of: fn(&Strategy) -> &Track| self.strategies.iter().any(|strategy| !of(strategy).is_empty());
        let measures: Vec<usize> = [(0, has(|s| &s.rate)), (1, has(|s| &s.p99_ms)), (2, has(|s| &s.hit))]
            .into_iter()
            .filter_map(|(index, there)| there.then_some(index))
            .collect();
        let mut keys = vec![Key { text: "the fault".into(), sample: Sample::Neutral(Pattern::Dashed) }];
        if measures.contains(&2) {
            keys.push(Key { text: "each other worker".into(), sample: Sample::Neutral(Pattern::Dotted) });
        }
        let panels =
            self.strategies.iter().flat_map(|strategy| measures.iter().map(|index| strategy.panel(*index)));
        let dimension = |name: &str, log| Dimension { name: name.into(), log, ..Dimension::default() };
        let lines = Lines {
            title: self.title.clone(),
            note: self.note.clone(),
            x: dimension("seconds since the fault", false),
            y: vec![
                dimension("completed/s", false),
                dimension("p99, ms", true),
                dimension("accepted/s by the hit worker", false),
            ],
            panels: panels.collect(),
            keys,
            plot_height: 96.0,
            least_width: 200.0,
            most_columns: measures.len(),
            labels: false,
        };
        lines.draw(width)
    }
}

impl Strategy {
    fn panel(&self, measure: usize) -> Panel {
        let line = |track: &Track, look, pattern| Line {
            look,
            points: track.iter().map(|(s, [middle, ..])| (*s, *middle)).collect(),
            band: if look.is_some() {
                track.iter().map(|(s, [_, low, high])| (*s, *low, *high)).collect()
            } else {
                Vec::new()
            },
            pattern,
            weight: 1.75,
            ..Line::default()
        };
        let own = |track: &Track| line(track, Some(self.look), Pattern::Solid);
        let lines = match measure {
            0 => vec![own(&self.rate)],
            1 => vec![own(&self.p99_ms)],
            _ => vec![line(&self.others, None, Pattern::Dotted), own(&self.hit)],
        };
        Panel {
            heading: Some((self.label.clone(), Some(self.look))),
            note: match measure {
                0 => self.note.clone(),
                2 if self.hit.is_empty() => "not counted".into(),
                _ => String::new(),
            },
            y: measure,
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
        let strategy = |(label, look)| Strategy {
            label,
            look,
            note: "4 errors per run".into(),
            lasted_s: Some(0.5),
            rate: track(15_000.0),
            p99_ms: track(3.0),
            hit: track(3_700.0),
            others: track(3_800.0),
        };
        Recovery {
            title: "A worker is stopped for 0.5 s, half load".into(),
            note: "Median over runs.".into(),
            strategies: strategies(count).into_iter().map(strategy).collect(),
        }
    }

    #[test]
    fn a_moment_alone_is_seen() {
        let mut short = sample(1);
        let circles = |recovery: &Recovery| recovery.draw(600).unwrap().file().matches("<circle").count();
        let before = circles(&short);
        short.strategies[0].rate.truncate(1);
        assert_eq!(circles(&short), before + 1);
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count).draw(width).unwrap()), "", "{count} at {width} px");
        }
    }

    #[test]
    fn measures_without_data_are_not_drawn() {
        let mut recovery = sample(2);
        recovery.strategies.iter_mut().for_each(|strategy| strategy.hit.clear());
        let svg = recovery.draw(crate::lab::plot::WIDE).unwrap().inline();
        assert!(svg.contains("completed/s") && !svg.contains("hit worker"), "{svg}");
    }
}
