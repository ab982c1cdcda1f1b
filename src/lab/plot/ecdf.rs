//! Time to connect and to the first byte as distributions, with the retransmission times of a lost SYN.
//!
//! The vertical axis is stretched towards 100 %: lost SYNs are rare, and they wait for seconds.

use super::TOGETHER;
use super::canvas::{Caption, Figure, Pattern};
use super::keys::{Key, Sample};
use super::lines::{Dimension, Line, Lines, Panel};
use super::percentiles::dimension;
use super::style::Style;

#[derive(Debug)]
pub struct Ecdf {
    pub caption: Caption,
    pub curves: Vec<Distribution>,
}

/// Of one strategy. Points are ms and log10 of 1/(1-q).
#[derive(Debug)]
pub struct Distribution {
    pub label: String,
    pub style: Style,
    /// Until the first byte of the response.
    pub first_byte: Vec<(f64, f64)>,
    /// Until the connection is established.
    pub connect: Vec<(f64, f64)>,
}

/// When Linux retransmits an unanswered SYN: 1, 3 and 7 s after the first.
const RETRANSMITS_MS: [(f64, &str); 3] = [(1000.0, "1 s"), (3000.0, "3 s"), (7000.0, "7 s")];

impl Ecdf {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let together = self.curves.len() <= TOGETHER;
        let ends = self.curves.iter().flat_map(|c| c.first_byte.iter().chain(&c.connect)).map(|(ms, _)| *ms);
        let slowest = ends.fold(0.0, f64::max);
        let uprights: Vec<(f64, String)> = RETRANSMITS_MS
            .into_iter()
            .filter(|(ms, _)| *ms <= slowest * 1.05)
            .map(|(ms, name)| (ms, name.to_owned()))
            .collect();
        let key = |curve: &Distribution| Key::new(curve.label.clone(), Sample::Strategy(curve.style));
        let mut keys: Vec<Key> = self.curves.iter().filter(|_| together).map(key).collect();
        keys.push(Key::new("first byte", Sample::Neutral(Pattern::Solid)));
        keys.push(Key::new("connect", Sample::Neutral(Pattern::Dashed)));
        if !uprights.is_empty() {
            keys.push(Key::new("vertical: a lost SYN is sent again", Sample::Nothing));
        }
        let panel = |curves: &[Distribution], heading| Panel {
            heading,
            lines: curves.iter().flat_map(Distribution::lines).collect(),
            uprights: uprights.clone(),
            ..Panel::default()
        };
        let panels = if together {
            vec![panel(&self.curves, None)]
        } else {
            let alone = |curve: &Distribution| {
                panel(std::slice::from_ref(curve), Some((curve.label.clone(), Some(curve.style))))
            };
            self.curves.iter().map(alone).collect()
        };
        let lines = Lines {
            caption: self.caption.clone(),
            x: Dimension::new("ms", true),
            y: vec![dimension(together)],
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

impl Distribution {
    fn lines(&self) -> Vec<Line> {
        let connect = Line {
            style: Some(self.style),
            points: self.connect.clone(),
            pattern: Pattern::Dashed,
            weight: 1.5,
            ..Line::default()
        };
        let first_byte = Line { style: Some(self.style), points: self.first_byte.clone(), ..Line::default() };
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
        let curve = |(label, style)| Distribution {
            label,
            style,
            first_byte: (0..80).map(at).collect(),
            connect: (0..80).map(at).map(|(ms, nines)| (ms * 0.3, nines)).collect(),
        };
        Ecdf {
            caption: Caption::new("Time to connect and to the first byte", "All runs together."),
            curves: strategies(count).into_iter().map(curve).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            assert_eq!(clashes(&sample(count, true).draw(width)), "", "{count} at {width} px");
        }
    }

    #[test]
    fn the_steps_of_lost_syns_are_marked_where_there_are_any() {
        let texts = |lost| sample(2, lost).draw(crate::lab::plot::WIDE).inline();
        assert!(
            texts(true).contains(">1 s<") && texts(true).contains(">3 s<") && !texts(true).contains(">7 s<")
        );
        assert!(!texts(false).contains(">1 s<") && !texts(false).contains("lost SYN"));
    }
}
