//! Time to connect and to the first byte as distributions, with the kernel's steps for a lost SYN.
//!
//! The axis at the left is stretched towards 100 %: lost SYNs are few, and it is they who wait for seconds.

use super::TOGETHER;
use super::canvas::{Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::look::Look;
use super::percentiles::NAMED;
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Ecdf {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// The strategies.
    pub curves: Vec<Curve>,
}

/// One strategy. Points are ms and log10 of 1/(1-q).
#[derive(Debug)]
pub struct Curve {
    /// Name.
    pub label: String,
    /// Colour and mark.
    pub look: Look,
    /// Until the first byte of the response.
    pub first_byte: Vec<(f64, f64)>,
    /// Until the connection stands.
    pub connect: Vec<(f64, f64)>,
}

/// When Linux sends a SYN again that was not answered: 1, 3 and 7 s after the first.
const AGAIN_MS: [(f64, &str); 3] = [(1000.0, "1 s"), (3000.0, "3 s"), (7000.0, "7 s")];

impl Ecdf {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let together = self.curves.len() <= TOGETHER;
        let ends = self.curves.iter().flat_map(|c| c.first_byte.iter().chain(&c.connect)).map(|(ms, _)| *ms);
        let slowest = ends.fold(0.0, f64::max);
        let again: Vec<_> = AGAIN_MS.into_iter().filter(|(ms, _)| *ms <= slowest * 1.05).collect();
        let uprights: Vec<(f64, String)> = again.iter().map(|(ms, name)| (*ms, (*name).to_owned())).collect();
        let key = |curve: &Curve| Key { text: curve.label.clone(), sample: Sample::Strategy(curve.look) };
        let mut keys: Vec<Key> = self.curves.iter().filter(|_| together).map(key).collect();
        keys.push(Key { text: "first byte".into(), sample: Sample::Neutral(Pattern::Solid) });
        keys.push(Key { text: "connect".into(), sample: Sample::Neutral(Pattern::Dashed) });
        if !again.is_empty() {
            keys.push(Key { text: "upright: a lost SYN is sent again".into(), sample: Sample::Nothing });
        }
        let panel = |curves: &[Curve], heading| Panel {
            heading,
            lines: curves.iter().flat_map(|curve| curve.lines()).collect(),
            uprights: uprights.clone(),
            ..Panel::default()
        };
        let panels = if together {
            vec![panel(&self.curves, None)]
        } else {
            let alone = |curve: &Curve| {
                panel(std::slice::from_ref(curve), Some((curve.label.clone(), Some(curve.look))))
            };
            self.curves.iter().map(alone).collect()
        };
        let lines = Lines {
            title: self.title.clone(),
            note: self.note.clone(),
            x: Dimension { name: "ms".into(), log: true, ..Dimension::default() },
            y: vec![Dimension {
                name: if together { "share of requests at least as fast" } else { "at least as fast" }.into(),
                ticks: NAMED.map(|(nines, name)| (nines, name.to_owned())).to_vec(),
                ..Dimension::default()
            }],
            panels,
            keys,
            plot_height: if together { 240.0 } else { 140.0 },
            least_width: 190.0,
            most_columns: 3,
            labels: false,
        };
        lines.draw(width)
    }
}

impl Curve {
    fn lines(&self) -> Vec<Line> {
        let connect = Line {
            look: Some(self.look),
            points: self.connect.clone(),
            pattern: Pattern::Dashed,
            weight: 1.5,
            ..Line::default()
        };
        let first_byte = Line { look: Some(self.look), points: self.first_byte.clone(), ..Line::default() };
        vec![connect, first_byte]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize, lost: bool) -> Ecdf {
        let at = |step: u32| {
            let nines = f64::from(step) / 20.0;
            let wait = if lost && nines > 2.5 { 3000.0 } else { 0.0 };
            (0.2 * 1.6_f64.powf(nines) + wait, nines)
        };
        let curve = |(label, look)| Curve {
            label,
            look,
            first_byte: (0..80).map(at).collect(),
            connect: (0..80).map(at).map(|(ms, nines)| (ms * 0.3, nines)).collect(),
        };
        Ecdf {
            title: "Time to connect and to the first byte".into(),
            note: "All runs together.".into(),
            curves: strategies(count).into_iter().map(curve).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count, true).draw(width).unwrap()), "", "{count} at {width} px");
        }
    }

    #[test]
    fn the_steps_of_lost_syns_are_marked_where_there_are_any() {
        let texts = |lost| sample(2, lost).draw(crate::lab::plot::WIDE).unwrap().inline();
        assert!(
            texts(true).contains(">1 s<") && texts(true).contains(">3 s<") && !texts(true).contains(">7 s<")
        );
        assert!(!texts(false).contains(">1 s<") && !texts(false).contains("lost SYN"));
    }
}
