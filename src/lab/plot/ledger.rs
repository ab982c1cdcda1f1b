//! The run ledger: every run in order, coloured by its verdict.
//!
//! plotters is only the pen here: tiles flow like text and have no coordinates.

use super::canvas::{Anchor, Canvas, Caption, Figure, INK, SOFT, TICK, figure};
use super::layout::{Px, flow, text_width};
use super::style::{ALARM, PALETTE};

#[derive(Debug)]
pub struct Ledger {
    pub caption: Caption,
    /// In the order in which they were made.
    pub runs: Vec<Tile>,
}

#[derive(Clone, Copy, Debug)]
pub struct Tile {
    pub round: u32,
    pub grade: Grade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    Ok,
    ClientBound,
    Noisy,
    Invalid,
    Skipped,
}

impl Grade {
    const ALL: [Self; 5] = [Self::Ok, Self::ClientBound, Self::Noisy, Self::Invalid, Self::Skipped];

    /// As in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::ClientBound => "CLIENT-BOUND",
            Self::Noisy => "NOISY",
            Self::Invalid => "INVALID",
            Self::Skipped => "SKIPPED",
        }
    }

    /// Errors differ by shape as well as by colour.
    fn draw(self, canvas: &Canvas, (left, top): Px) {
        let corner = (left + TILE, top + TILE);
        match self {
            Self::Ok => canvas.rectangle((left, top), corner, PALETTE[0], 0.75),
            Self::ClientBound => canvas.rectangle((left, top + TILE / 2.0), corner, PALETTE[0], 0.75),
            Self::Noisy => canvas.rectangle((left, top), corner, PALETTE[1], 1.0),
            Self::Invalid => {
                canvas.line(&[(left + 1.0, top + 1.0), (corner.0 - 1.0, corner.1 - 1.0)], ALARM, 1.0, 2.5);
                canvas.line(&[(left + 1.0, corner.1 - 1.0), (corner.0 - 1.0, top + 1.0)], ALARM, 1.0, 2.5);
            }
            Self::Skipped => {
                let middle = top + TILE / 2.0;
                canvas.line(&[(left + 1.0, middle), (corner.0 - 1.0, middle)], INK, 0.5, 1.5);
            }
        }
    }
}

const TILE: f64 = 9.0;
const PITCH: f64 = 11.0;
const BREAK: f64 = 5.0;
const ROW: f64 = 17.0;
const KEYS: f64 = 26.0;

impl Ledger {
    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let gutter = text_width(&self.runs.len().to_string(), TICK) + 8.0;
        let top = self.caption.height(f64::from(width));
        let places = self.places(f64::from(width) - gutter);
        let rows = places.last().map_or(0, |(row, _)| row + 1) as f64;
        let keys = self.keys();
        let widths: Vec<f64> = keys.iter().map(|(_, text)| 18.0 + text_width(text, TICK)).collect();
        let placed = flow(&widths, 16.0, f64::from(width));
        let key_rows = placed.last().map_or(0, |(row, _)| row + 1) as f64;
        let body = top + (key_rows - 1.0).max(0.0) * 18.0 + KEYS;
        figure(width, body + rows * ROW + 4.0, &self.caption, |canvas| {
            for ((grade, text), (row, left)) in keys.iter().zip(placed) {
                let y = top + row as f64 * 18.0;
                grade.draw(canvas, (left, y + 4.0));
                canvas.text((left + 16.0, y + 8.5), text, TICK, SOFT, Anchor::Left);
            }
            let mut previous = None;
            for (index, (tile, (row, left))) in self.runs.iter().zip(places).enumerate() {
                let y = body + row as f64 * ROW;
                if previous != Some(row) {
                    let number = (index + 1).to_string();
                    canvas.text((gutter - 8.0, y + TILE / 2.0), &number, TICK, SOFT, Anchor::Right);
                    previous = Some(row);
                }
                tile.grade.draw(canvas, (gutter + left, y));
            }
        })
    }

    /// The row and the left end of each tile.
    fn places(&self, width: f64) -> Vec<(usize, f64)> {
        let (mut row, mut left, mut round) = (0, 0.0, None);
        let mut place = |tile: &Tile| {
            if round.is_some_and(|round| round != tile.round) {
                left += BREAK;
            }
            round = Some(tile.round);
            if left + TILE > width {
                (row, left) = (row + 1, 0.0);
            }
            let placed = (row, left);
            left += PITCH;
            placed
        };
        self.runs.iter().map(&mut place).collect()
    }

    fn keys(&self) -> Vec<(Grade, String)> {
        let count = |grade: Grade| self.runs.iter().filter(|tile| tile.grade == grade).count();
        let counted = Grade::ALL.into_iter().map(|grade| (grade, count(grade)));
        counted.filter(|(_, n)| *n > 0).map(|(grade, n)| (grade, format!("{} {n}", grade.name()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::clashes;

    fn sample(runs: u32) -> Ledger {
        let tile = |n: u32| Tile { round: n / 8, grade: Grade::ALL[(n % 31) as usize % 5] };
        Ledger {
            caption: Caption::new("All runs in their order", "Each round has every cell once, shuffled."),
            runs: (0..runs).map(tile).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_with_few_and_many_runs() {
        for runs in [1, 33, 500] {
            for width in [crate::lab::plot::WIDE, crate::lab::plot::NARROW] {
                assert_eq!(clashes(&sample(runs).draw(width)), "", "{runs} runs at {width} px");
            }
        }
    }

    #[test]
    fn keys_count_the_verdicts_that_there_are() {
        let svg = sample(4).draw(crate::lab::plot::WIDE).inline();
        assert!(svg.contains(">OK 1<") && svg.contains(">INVALID 1<") && !svg.contains("SKIPPED"), "{svg}");
    }

    #[test]
    fn tiles_stay_within_the_width() {
        let places = sample(500).places(300.0);
        assert_eq!(places.len(), 500);
        assert!(places.iter().all(|(_, left)| left + TILE <= 300.0));
    }
}
