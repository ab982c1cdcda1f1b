//! Heat maps, worker by time: which worker accepted when, a panel per strategy, one colour ramp for all.
//!
//! plotters is only the pen here: the cells are rectangles between two times and two rows, neighbours of one colour are
//! merged, and of a chart only the ticks below would be left.

use plotters::style::RGBColor;

use super::axis::{Axis, short};
use super::canvas::{Canvas, Caption, Figure, HPos, INK, TICK, dashed, figure, stroke};
use super::layout::{Panels, Px, text_width};
use super::style::{PALETTE, Style};

#[derive(Debug)]
pub struct Heat {
    pub caption: Caption,
    /// The value of the darkest colour.
    pub most: f64,
    pub unit: String,
    pub strategies: Vec<StrategyHeat>,
}

#[derive(Debug)]
pub struct StrategyHeat {
    pub label: String,
    pub style: Style,
    /// A line below the heading.
    pub note: String,
    /// The edges of the columns, in s; one more than there are columns.
    pub times_s: Vec<f64>,
    /// Per worker, per column.
    pub rows: Vec<Vec<f64>>,
    /// Number of the first worker.
    pub first: u64,
    /// When something happened, in s.
    pub event_s: Option<f64>,
}

const HEAD: f64 = 46.0;
const FOOT: f64 = 46.0;
const RAMP: f64 = 26.0;
/// Steps of the ramp: more are indistinguishable, and fewer need fewer rectangles.
const STEPS: f64 = 12.0;

impl Heat {
    pub fn draw(&self, width: i32) -> Figure {
        let top = self.caption.height(f64::from(width)) + RAMP;
        let most = if self.strategies.len() <= 4 { 2 } else { 3 };
        let panels = Panels::new(self.strategies.len(), f64::from(width), 215.0, 26.0, most);
        let workers = self.strategies.iter().map(|one| one.rows.len()).max().unwrap_or(1).max(1);
        let height = (workers as f64 * 13.0).clamp(40.0, 150.0);
        let row = HEAD + height + FOOT;
        figure(width, top + row * panels.rows as f64 - 8.0, &self.caption, |canvas| {
            self.ramp(canvas, top - RAMP);
            for (index, strategy) in self.strategies.iter().enumerate() {
                let corner = panels.corner(index, top, row);
                self.panel(canvas, strategy, corner, (panels.width, height), panels.lowest(index));
            }
        })
    }

    fn ramp(&self, canvas: &Canvas, top: f64) {
        let y = top + 8.0;
        canvas.soft((0.0, y), "0", HPos::Left);
        let left = 14.0;
        for step in 0..=STEPS as u32 {
            let x = left + f64::from(step) * 9.0;
            canvas.rectangle((x, y - 7.0), (x + 9.0, y + 7.0), HUE, opacity(f64::from(step) / STEPS));
        }
        let text = format!("{} {}", short(self.most.round()), self.unit);
        canvas.soft((left + (STEPS + 1.0) * 9.0 + 8.0, y), &text, HPos::Left);
    }

    fn panel(&self, canvas: &Canvas, one: &StrategyHeat, (left, top): Px, (width, height): Px, lowest: bool) {
        let StrategyHeat { times_s, rows, first, .. } = one;
        canvas.heading((left, top), &one.label, Some(one.style), &one.note, width);
        let (Some(begin), Some(end)) = (times_s.first(), times_s.last()) else { return };
        let axis = Axis::exact(*begin, *end);
        let last = (*first as usize + rows.len()).saturating_sub(1).to_string();
        let (from, to) = (left + text_width(&last, TICK).max(8.0) + 8.0, left + width);
        let x = |s: f64| from + (to - from) * axis.share(s);
        let (upper, lower) = (top + HEAD, top + HEAD + height);
        let step = height / rows.len().max(1) as f64;
        canvas.rectangle((from, upper), (to, lower), INK, 0.05);
        for (worker, values) in rows.iter().enumerate() {
            let y = upper + worker as f64 * step;
            let gap = if step > 5.0 { 1.0 } else { 0.0 };
            for (begin, end, level) in self.stretches(values) {
                let (from, to) = ((x(times_s[begin]), y), (x(times_s[end]), y + step - gap));
                canvas.rectangle(from, to, HUE, opacity(level));
            }
        }
        let name = |row: f64, text: &str| {
            canvas.soft((from - 6.0, upper + (row + 0.5) * step), text, HPos::Right);
        };
        name(0.0, &first.to_string());
        if rows.len() > 1 {
            name(rows.len() as f64 - 1.0, &last);
        }
        axis.ticks(5).into_iter().for_each(|value| canvas.tick((x(value), lower), &short(value)));
        for event in one.event_s.iter().chain((*begin < 0.0).then_some(&0.0)) {
            canvas.path(&[(x(*event), upper), (x(*event), lower)], dashed(stroke(INK, 0.9, 1.25)));
        }
        if lowest {
            canvas.soft((f64::midpoint(from, to), lower + 30.0), "seconds", HPos::Center);
        }
    }

    /// Merges columns of the same step of the ramp: first, one past the last, and the step from 0 to 1.
    fn stretches(&self, values: &[f64]) -> Vec<(usize, usize, f64)> {
        let step =
            |value: f64| (value / self.most.max(f64::MIN_POSITIVE) * STEPS).clamp(0.0, STEPS).ceil() / STEPS;
        let mut end = 0;
        let stretch = |equal: &[f64]| {
            let begin = end;
            end += equal.len();
            (begin, end, step(equal[0]))
        };
        let stretches = values.chunk_by(|one, next| step(*one) == step(*next)).map(stretch);
        stretches.filter(|(.., level)| *level > 0.0).collect()
    }
}

/// One hue for all: larger values are darker on a light page and brighter on a dark one.
const HUE: RGBColor = PALETTE[0];

fn opacity(level: f64) -> f64 {
    0.04 + 0.96 * level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash_tests::{COUNTS, clashes, strategies};

    fn sample(count: usize, workers: usize) -> Heat {
        let strategy = |(label, style)| StrategyHeat {
            label,
            style,
            note: "run 17, round 3".into(),
            times_s: (-2..=20).map(|t| f64::from(t) / 4.0).collect(),
            rows: (0..workers).map(|w| (0..22).map(|t| ((w * 7 + t * 3) % 11) as f64).collect()).collect(),
            first: 0,
            event_s: Some(1.5),
        };
        Heat {
            caption: Caption::new(
                "Who accepts when, full load",
                "Accepted connections per second of each worker. A row is a worker.",
            ),
            most: 10.0,
            unit: "connections/s".into(),
            strategies: strategies(count).into_iter().map(strategy).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies_and_workers() {
        for ((count, width), workers) in COUNTS.into_iter().zip([2, 4, 12, 64].into_iter().cycle()) {
            let figure = sample(count, workers).draw(width);
            assert_eq!(clashes(&figure), "", "{count} at {width} px, {workers} workers");
        }
    }

    #[test]
    fn equal_neighbours_are_one_rectangle_and_nothing_is_none() {
        let heat = sample(1, 1);
        assert_eq!(heat.stretches(&[0.0, 0.0, 10.0, 10.0, 5.0]), [(2, 4, 1.0), (4, 5, 0.5)]);
    }
}
