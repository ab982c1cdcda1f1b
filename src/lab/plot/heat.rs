//! Heat maps, worker by time: which worker accepted when, a panel per strategy, one ramp for all.

use super::axis::{Axis, short};
use super::canvas::{Anchor, Canvas, Figure, INK, Pattern, SOFT, TICK, figure, heading_height};
use super::layout::{Panels, shorten, text_width};
use super::look::{Look, look};
use crate::lab::error::Result;

/// What to draw.
#[derive(Debug)]
pub struct Heat {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// What the darkest stands for.
    pub most: f64,
    /// Unit of the values.
    pub unit: String,
    /// One per strategy.
    pub panels: Vec<Panel>,
}

/// One strategy.
#[derive(Debug)]
pub struct Panel {
    /// Heading.
    pub label: String,
    /// Mark.
    pub look: Look,
    /// A line below the heading.
    pub note: String,
    /// When the columns begin and end, in s; one more than there are columns.
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
/// Steps of the ramp: more are not told apart, and fewer make fewer rectangles.
const STEPS: f64 = 12.0;

impl Heat {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let top = heading_height(&self.title, &self.note, f64::from(width)) + RAMP;
        let most = if self.panels.len() <= 4 { 2 } else { 3 };
        let panels = Panels::new(self.panels.len(), f64::from(width), 215.0, 26.0, most);
        let workers = self.panels.iter().map(|panel| panel.rows.len()).max().unwrap_or(1).max(1) as f64;
        let height = (workers * 13.0).clamp(40.0, 150.0);
        let row = HEAD + height + FOOT;
        figure(width, top + row * panels.rows as f64 - 8.0, &self.title, |canvas| {
            canvas.heading(&self.title, &self.note)?;
            self.ramp(canvas, top - RAMP)?;
            for (index, panel) in self.panels.iter().enumerate() {
                let corner = panels.corner(index, top, row);
                self.panel(canvas, panel, corner, (panels.width, height), panels.lowest(index))?;
            }
            Ok(())
        })
    }

    fn ramp(&self, canvas: &Canvas, top: f64) -> Result<()> {
        let y = top + 8.0;
        canvas.text((0.0, y), "0", TICK, SOFT, Anchor::Left)?;
        let left = 14.0;
        for step in 0..=STEPS as u32 {
            let x = left + f64::from(step) * 9.0;
            canvas.rectangle((x, y - 7.0), (x + 9.0, y + 7.0), hue(), opacity(f64::from(step) / STEPS))?;
        }
        let text = format!("{} {}", short(self.most.round()), self.unit);
        canvas.text((left + (STEPS + 1.0) * 9.0 + 8.0, y), &text, TICK, SOFT, Anchor::Left)
    }

    fn panel(
        &self,
        canvas: &Canvas,
        panel: &Panel,
        (left, top): (f64, f64),
        (width, height): (f64, f64),
        lowest: bool,
    ) -> Result<()> {
        canvas.mark((left + 7.0, top + 8.0), 5.0, panel.look)?;
        canvas.text(
            (left + 17.0, top + 8.0),
            &shorten(&panel.label, 13.5, width - 17.0),
            13.5,
            1.0,
            Anchor::Left,
        )?;
        canvas.text((left, top + 27.0), &shorten(&panel.note, TICK, width), TICK, SOFT, Anchor::Left)?;
        let (Some(begin), Some(end)) = (panel.times_s.first(), panel.times_s.last()) else { return Ok(()) };
        let axis = Axis::exact(*begin, *end);
        let last = (panel.first as usize + panel.rows.len()).saturating_sub(1).to_string();
        let (from, to) = (left + text_width(&last, TICK).max(8.0) + 8.0, left + width);
        let x = |s: f64| from + (to - from) * axis.share(s);
        let (upper, lower) = (top + HEAD, top + HEAD + height);
        let step = height / panel.rows.len().max(1) as f64;
        canvas.rectangle((from, upper), (to, lower), INK, 0.05)?;
        for (worker, values) in panel.rows.iter().enumerate() {
            let y = upper + worker as f64 * step;
            let gap = if step > 5.0 { 1.0 } else { 0.0 };
            for (begin, end, level) in self.stretches(values) {
                let (one, two) = ((x(panel.times_s[begin]), y), (x(panel.times_s[end]), y + step - gap));
                canvas.rectangle(one, two, hue(), opacity(level))?;
            }
        }
        let name = |row: f64, text: &str| {
            canvas.text((from - 6.0, upper + (row + 0.5) * step), text, TICK, SOFT, Anchor::Right)
        };
        name(0.0, &panel.first.to_string())?;
        if panel.rows.len() > 1 {
            name(panel.rows.len() as f64 - 1.0, &last)?;
        }
        for value in axis.ticks(5) {
            canvas.line(&[(x(value), lower), (x(value), lower + 4.0)], INK, 0.5, 1.0)?;
            canvas.text((x(value), lower + 13.0), &short(value), TICK, SOFT, Anchor::Middle)?;
        }
        for event in panel.event_s.iter().chain((*begin < 0.0).then_some(&0.0)) {
            canvas.pattern(&[(x(*event), upper), (x(*event), lower)], INK, 0.9, 1.25, Pattern::Dashed)?;
        }
        if !lowest {
            return Ok(());
        }
        canvas.text((f64::midpoint(from, to), lower + 30.0), "seconds", TICK, SOFT, Anchor::Middle)
    }

    /// Columns of the same step of the ramp together: first, one past the last, and the step from 0 to 1.
    fn stretches(&self, values: &[f64]) -> Vec<(usize, usize, f64)> {
        let step =
            |value: f64| (value / self.most.max(f64::MIN_POSITIVE) * STEPS).clamp(0.0, STEPS).ceil() / STEPS;
        let mut stretches: Vec<(usize, usize, f64)> = Vec::new();
        for (column, value) in values.iter().enumerate() {
            match stretches.last_mut() {
                Some((_, end, level)) if *level == step(*value) => *end = column + 1,
                _ => stretches.push((column, column + 1, step(*value))),
            }
        }
        stretches.into_iter().filter(|(.., level)| *level > 0.0).collect()
    }
}

/// One hue for all: more is darker on a light page and brighter on a dark one.
fn hue() -> plotters::style::RGBColor {
    look("inherited", false).colour
}

fn opacity(level: f64) -> f64 {
    0.04 + 0.96 * level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize, workers: usize) -> Heat {
        let panel = |(label, look)| Panel {
            label,
            look,
            note: "run 17, round 3".into(),
            times_s: (-2..=20).map(|t| f64::from(t) / 4.0).collect(),
            rows: (0..workers).map(|w| (0..22).map(|t| ((w * 7 + t * 3) % 11) as f64).collect()).collect(),
            first: 0,
            event_s: Some(1.5),
        };
        Heat {
            title: "Who accepts when, full load".into(),
            note: "Accepted connections per second of each worker. A row is a worker.".into(),
            most: 10.0,
            unit: "connections/s".into(),
            panels: strategies(count).into_iter().map(panel).collect(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies_and_workers() {
        for ((count, width), workers) in COUNTS.into_iter().zip([2, 4, 12, 64].into_iter().cycle()) {
            let figure = sample(count, workers).draw(width).unwrap();
            assert_eq!(clashes(&figure), "", "{count} at {width} px, {workers} workers");
        }
    }

    #[test]
    fn equal_neighbours_are_one_rectangle_and_nothing_is_none() {
        let heat = sample(1, 1);
        assert_eq!(heat.stretches(&[0.0, 0.0, 10.0, 10.0, 5.0]), [(2, 4, 1.0), (4, 5, 0.5)]);
    }
}
