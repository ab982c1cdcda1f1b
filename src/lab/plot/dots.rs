//! Dots with intervals: a row per strategy, a panel per quantity. It knows values and px, not what they mean.

use super::axis::{Axis, short};
use super::canvas::{Anchor, Canvas, Figure, INK, LABEL, SOFT, TICK, figure, heading_height};
use super::keys::{Key, key_height, keys};
use super::layout::{Panels, shorten, text_width, widest};
use super::look::Look;
use crate::lab::error::Result;

/// A figure of dots.
#[derive(Debug)]
pub struct Dots {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// Names and looks, from above.
    pub rows: Vec<(String, Look)>,
    /// The quantities.
    pub panels: Vec<Panel>,
    /// What fillings and shades mean.
    pub keys: Vec<Key>,
}

/// One quantity.
#[derive(Debug)]
pub struct Panel {
    /// Its name.
    pub heading: String,
    /// Its unit.
    pub unit: String,
    /// How values are laid out.
    pub scale: Scale,
    /// A stretch that is shaded.
    pub shade: Option<(f64, f64)>,
    /// One per row.
    pub values: Vec<Option<Dot>>,
}

/// How values are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0 on.
    FromZero,
    /// Changes in percent, as factors: -50 is as far from 0 as +100.
    Change,
}

/// One value.
#[derive(Clone, Debug)]
pub struct Dot {
    /// Where the mark stands.
    pub middle: f64,
    /// Where its interval begins.
    pub low: f64,
    /// Where its interval ends.
    pub high: f64,
    /// The value in figures, at the right.
    pub text: String,
    /// Whether the mark is drawn in full; pale otherwise.
    pub full: bool,
}

const ROW: f64 = 22.0;
const HEAD: f64 = 40.0;
const FOOT: f64 = 40.0;
/// Changes that a tick may name, the most welcome first.
const CHANGES: [f64; 25] = [
    0.0, -10.0, 10.0, -50.0, 100.0, 900.0, -90.0, 9900.0, -20.0, 20.0, 50.0, -30.0, 300.0, -5.0, 5.0, -2.0,
    2.0, -1.0, 1.0, -0.5, 0.5, -0.2, 0.2, -0.1, 0.1,
];

impl Dots {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let wide = f64::from(width);
        let names = widest(self.rows.iter().map(|(name, _)| name.as_str()), LABEL) + 24.0;
        let names = names.min(wide * 0.45);
        let panels = Panels::new(self.panels.len(), wide - names, 160.0, 28.0, 3);
        let top = heading_height(&self.title, &self.note, wide) + key_height(&self.keys, wide);
        let row = HEAD + self.rows.len() as f64 * ROW + FOOT;
        figure(width, top + row * panels.rows as f64 - 14.0, &self.title, |canvas| {
            canvas.heading(&self.title, &self.note)?;
            keys(canvas, &self.keys, heading_height(&self.title, &self.note, wide))?;
            for (index, panel) in self.panels.iter().enumerate() {
                let (left, top) = panels.corner(index, top, row);
                if panels.leftmost(index) {
                    self.names(canvas, top + HEAD, names)?;
                }
                self.panel(canvas, panel, (left + names, top), panels.width)?;
            }
            Ok(())
        })
    }

    fn names(&self, canvas: &Canvas, top: f64, width: f64) -> Result<()> {
        for (index, (name, look)) in self.rows.iter().enumerate() {
            let y = top + (index as f64 + 0.5) * ROW;
            canvas.mark((7.0, y), 4.5, *look)?;
            canvas.text((17.0, y), &shorten(name, LABEL, width - 22.0), LABEL, 1.0, Anchor::Left)?;
            canvas.line(&[(0.0, y + ROW / 2.0), (canvas.width, y + ROW / 2.0)], INK, 0.08, 1.0)?;
        }
        Ok(())
    }

    fn panel(&self, canvas: &Canvas, panel: &Panel, (left, top): (f64, f64), width: f64) -> Result<()> {
        canvas.text((left, top + 9.0), &shorten(&panel.heading, 13.5, width), 13.5, 1.0, Anchor::Left)?;
        canvas.text((left, top + 26.0), &shorten(&panel.unit, TICK, width), TICK, SOFT, Anchor::Left)?;
        let texts = panel.values.iter().flatten().map(|dot| dot.text.as_str());
        let right = left + width - widest(texts, TICK) - 14.0;
        let Some(axis) = panel.axis() else { return Ok(()) };
        let x = |value: f64| left + 6.0 + (right - left - 12.0) * axis.share(panel.scale.place(value));
        let (from, to) = (top + HEAD, top + HEAD + self.rows.len() as f64 * ROW);
        if let Some((low, high)) = panel.shade {
            canvas.rectangle((x(low), from), (x(high), to), INK, 0.1)?;
        }
        panel.ticks(canvas, &axis, x, to)?;
        let zero = if panel.scale == Scale::Change { 0.6 } else { 0.4 };
        canvas.line(&[(x(0.0), from), (x(0.0), to)], INK, zero, 1.0)?;
        for (index, (dot, (_, look))) in panel.values.iter().zip(&self.rows).enumerate() {
            let Some(dot) = dot else { continue };
            let y = from + (index as f64 + 0.5) * ROW;
            let opacity = if dot.full { 1.0 } else { 0.45 };
            canvas.line(&[(x(dot.low), y), (x(dot.high), y)], look.colour, opacity, 2.0)?;
            if dot.full {
                canvas.mark((x(dot.middle), y), 4.5, *look)?;
            } else {
                canvas.mark((x(dot.middle), y), 4.0, Look { hollow: true, ..*look })?;
            }
            canvas.text(
                (left + width, y),
                &dot.text,
                TICK,
                if dot.full { 1.0 } else { SOFT },
                Anchor::Right,
            )?;
        }
        Ok(())
    }
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::FromZero => value,
            Self::Change => (1.0 + value / 100.0).max(0.01),
        }
    }

    fn name(self, value: f64) -> String {
        match self {
            Self::Change if value > 0.0 => format!("+{}", short(value)),
            _ => short(value),
        }
    }
}

impl Panel {
    fn axis(&self) -> Option<Axis> {
        let ends = self.values.iter().flatten().flat_map(|dot| [dot.low, dot.high, dot.middle]);
        let mut all: Vec<f64> = ends.collect();
        if all.is_empty() {
            return None;
        }
        all.extend(self.shade.iter().flat_map(|(low, high)| [*low, *high]));
        all.push(0.0);
        let places = all.into_iter().filter(|value| value.is_finite()).map(|value| self.scale.place(value));
        match self.scale {
            Scale::FromZero => Axis::linear(places),
            Scale::Change => {
                let reach = |all: Vec<f64>| {
                    all.into_iter().fold((1.0_f64, 1.0_f64), |(l, h), v| (l.min(v), h.max(v)))
                };
                let (low, high) = reach(places.collect());
                // at least a tenth of a percent on either side
                Some(Axis { low: (low / 1.01).min(0.998), high: (high * 1.01).max(1.002), log: true })
            }
        }
    }

    fn ticks(&self, canvas: &Canvas, axis: &Axis, x: impl Fn(f64) -> f64, bottom: f64) -> Result<()> {
        let wanted = match self.scale {
            Scale::FromZero => axis.ticks(4),
            Scale::Change => CHANGES.to_vec(),
        };
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for value in wanted {
            let place = self.scale.place(value);
            let name = self.scale.name(value);
            let half = text_width(&name, TICK) / 2.0 + 4.0;
            let at = x(value);
            let free = taken.iter().all(|(from, to)| at + half <= *from || *to <= at - half);
            if place < axis.low || place > axis.high || !free {
                continue;
            }
            taken.push((at - half, at + half));
            canvas.line(&[(at, bottom), (at, bottom + 4.0)], INK, 0.5, 1.0)?;
            canvas.text((at, bottom + 13.0), &name, TICK, SOFT, Anchor::Middle)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::clash::{COUNTS, clashes, strategies};

    fn sample(count: usize, scale: Scale, spread: f64) -> Dots {
        let dot = |row: usize| {
            let middle = (row as f64 - 3.0) * spread;
            let text = format!("{middle:+.1}");
            Some(Dot {
                middle,
                low: middle - spread,
                high: middle + spread * 2.0,
                text,
                full: row.is_multiple_of(2),
            })
        };
        let panel = |index: usize| Panel {
            heading: ["Rate", "p50", "p99", "System CPU", "Switches"][index].into(),
            unit: "change, %".into(),
            scale,
            shade: Some((-spread, spread)),
            values: (0..count).map(dot).collect(),
        };
        Dots {
            title: "Differences from inherited, full load".into(),
            note: "Median of paired differences and 95 % interval.".into(),
            rows: strategies(count),
            panels: (0..5).map(panel).collect(),
            keys: Vec::new(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            for (scale, spread) in [(Scale::Change, 0.3), (Scale::Change, 40.0), (Scale::FromZero, 1234.0)] {
                let figure = sample(count, scale, spread).draw(width).unwrap();
                assert_eq!(clashes(&figure), "", "{count} at {width} px, {scale:?} {spread}");
            }
        }
    }

    #[test]
    fn a_change_is_named_with_its_sign_and_zero_always_is() {
        let svg = sample(8, Scale::Change, 8.0).draw(crate::lab::plot::WIDE).unwrap().inline();
        assert!(svg.contains(">0</text>") && svg.contains(">+"), "{svg}");
    }
}
