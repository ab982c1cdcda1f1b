//! The run ledger: every run in order, coloured by its verdict.
//!
//! plotters is only the pen here: tiles flow like text and have no coordinates.

use super::canvas::{Canvas, Caption, Figure, HPos, INK, TICK, figure};
use super::layout::{Px, flow, rows, text_width};
use super::style::{ALARM, PALETTE};
use crate::lab::judge::rows::Verdict;

#[derive(Debug)]
pub struct Ledger {
    pub caption: Caption,
    /// Rounds and verdicts, in the order in which the runs were made.
    pub runs: Vec<(u32, Verdict)>,
}

/// In the order of the keys.
const VERDICTS: [Verdict; 5] =
    [Verdict::Ok, Verdict::ClientBound, Verdict::Noisy, Verdict::Invalid, Verdict::Skipped];

/// Errors differ by shape as well as by colour.
fn tile(canvas: &Canvas, verdict: Verdict, (left, top): Px) {
    let corner = (left + TILE, top + TILE);
    match verdict {
        Verdict::Ok => canvas.rectangle((left, top), corner, PALETTE[0], 0.75),
        Verdict::ClientBound => canvas.rectangle((left, top + TILE / 2.0), corner, PALETTE[0], 0.75),
        Verdict::Noisy => canvas.rectangle((left, top), corner, PALETTE[1], 1.0),
        Verdict::Invalid => {
            canvas.line(&[(left + 1.0, top + 1.0), (corner.0 - 1.0, corner.1 - 1.0)], ALARM, 1.0, 2.5);
            canvas.line(&[(left + 1.0, corner.1 - 1.0), (corner.0 - 1.0, top + 1.0)], ALARM, 1.0, 2.5);
        }
        Verdict::Skipped => {
            let middle = top + TILE / 2.0;
            canvas.line(&[(left + 1.0, middle), (corner.0 - 1.0, middle)], INK, 0.5, 1.5);
        }
    }
}

const TILE: f64 = 9.0;
const PITCH: f64 = 11.0;
const BREAK: f64 = 5.0;
const ROW: f64 = 17.0;
const KEYS: f64 = 26.0;

impl Ledger {
    pub fn draw(&self, width: i32) -> Figure {
        let gutter = text_width(&self.runs.len().to_string(), TICK) + 8.0;
        let top = self.caption.height(f64::from(width));
        let places = self.places(f64::from(width) - gutter);
        let keys = self.keys();
        let widths: Vec<f64> = keys.iter().map(|(_, text)| 18.0 + text_width(text, TICK)).collect();
        let placed = flow(&widths, 16.0, f64::from(width));
        let body = top + (rows(&placed) - 1.0).max(0.0) * 18.0 + KEYS;
        figure(width, body + rows(&places) * ROW + 4.0, &self.caption, |canvas| {
            for ((verdict, text), (row, left)) in keys.iter().zip(placed) {
                let y = top + row as f64 * 18.0;
                tile(canvas, *verdict, (left, y + 4.0));
                canvas.soft((left + 16.0, y + 8.5), text, HPos::Left);
            }
            let mut previous = None;
            for (index, ((_, verdict), (row, left))) in self.runs.iter().zip(places).enumerate() {
                let y = body + row as f64 * ROW;
                if previous.replace(row) != Some(row) {
                    let number = (index + 1).to_string();
                    canvas.soft((gutter - 8.0, y + TILE / 2.0), &number, HPos::Right);
                }
                tile(canvas, *verdict, (gutter + left, y));
            }
        })
    }

    /// The row and the left end of each tile.
    fn places(&self, width: f64) -> Vec<(usize, f64)> {
        let (mut row, mut left, mut round) = (0, 0.0, None);
        let mut place = |(own, _): &(u32, Verdict)| {
            if round.is_some_and(|round| round != *own) {
                left += BREAK;
            }
            round = Some(*own);
            if left + TILE > width {
                (row, left) = (row + 1, 0.0);
            }
            let placed = (row, left);
            left += PITCH;
            placed
        };
        self.runs.iter().map(&mut place).collect()
    }

    fn keys(&self) -> Vec<(Verdict, String)> {
        let count = |verdict| self.runs.iter().filter(|(_, other)| *other == verdict).count();
        let counted = VERDICTS.into_iter().map(|verdict| (verdict, count(verdict))).filter(|(_, n)| *n > 0);
        counted.map(|(verdict, n)| (verdict, format!("{} {n}", verdict.name()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash_tests::clashes;

    fn sample(runs: u32) -> Ledger {
        let tile = |n: u32| (n / 8, VERDICTS[(n % 31) as usize % 5]);
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
