//! Dots with intervals: a row per strategy, a panel per quantity; differences from the baseline and costs.
//!
//! plotters is only the pen here: the rows share one column of names, changes in percent have a scale and ticks of their
//! own, and plotters has no series of marks with intervals and values beside them.

use super::axis::{Axis, short};
use super::canvas::{Anchor, Canvas, Caption, Figure, INK, LABEL, SOFT, TICK, figure};
use super::keys::{Key, Sample, key_height, keys};
use super::layout::{Panels, Px, text_width, widest};
use super::style::Style;

#[derive(Debug)]
pub struct Dots {
    pub caption: Caption,
    pub rows: Vec<(String, Style)>,
    pub quantities: Vec<Quantity>,
    pub keys: Vec<Key>,
}

#[derive(Debug)]
pub struct Quantity {
    pub name: String,
    pub unit: String,
    pub scale: Scale,
    /// A range that is shaded.
    pub shade: Option<(f64, f64)>,
    pub values: Vec<Option<Dot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    FromZero,
    /// Changes in percent, as factors: -50 is as far from 0 as +100.
    Change,
}

#[derive(Clone, Debug)]
pub struct Dot {
    pub middle: f64,
    /// The ends of the interval.
    pub low: f64,
    pub high: f64,
    /// The value as text, at the right.
    pub text: String,
    /// Whether the mark is filled; pale otherwise.
    pub full: bool,
}

impl Dot {
    pub fn value(middle: f64, [low, high]: [f64; 2], digits: usize) -> Self {
        Self { middle, low, high, text: format!("{middle:.digits$}"), full: true }
    }

    /// A change in percent, with its sign and without a minus before zero; `counts` if the difference is judged real.
    pub fn change(median: f64, [low, high]: [f64; 2], counts: bool) -> Self {
        let percent = if median.abs() < 0.05 { 0.0 } else { median };
        let digits = if percent.abs() >= 100.0 { 0 } else { 1 };
        Self { middle: median, low, high, text: format!("{percent:+.digits$}"), full: counts }
    }
}

impl Quantity {
    /// Changes from the baseline; `least` is the least effect of interest in percent.
    pub fn changes(name: &str, least: Option<f64>, values: Vec<Option<Dot>>) -> Self {
        let shade = least.map(|least| (-least.min(99.0), least));
        Self { name: name.into(), unit: "change, %".into(), scale: Scale::Change, shade, values }
    }
}

const ROW: f64 = 22.0;
const HEAD: f64 = 40.0;
const FOOT: f64 = 40.0;
/// Changes that a tick may name, in order of preference.
const CHANGES: [f64; 25] = [
    0.0, -10.0, 10.0, -50.0, 100.0, 900.0, -90.0, 9900.0, -20.0, 20.0, 50.0, -30.0, 300.0, -5.0, 5.0, -2.0,
    2.0, -1.0, 1.0, -0.5, 0.5, -0.2, 0.2, -0.1, 0.1,
];

impl Dots {
    /// A forest plot: differences from the baseline.
    pub fn forest(caption: Caption, rows: Vec<(String, Style)>, quantities: Vec<Quantity>) -> Self {
        let mut keys = Vec::new();
        if quantities.iter().any(|quantity| quantity.shade.is_some()) {
            keys.push(Key::new("less than the least effect of interest", Sample::Band));
        }
        if quantities.iter().flat_map(|quantity| &quantity.values).flatten().any(|dot| dot.full) {
            keys.push(Key::new("filled: a difference that counts", Sample::Nothing));
        }
        Self { caption, rows, quantities, keys }
    }

    /// The figure at this width.
    pub fn draw(&self, width: i32) -> Figure {
        let wide = f64::from(width);
        let names = widest(self.rows.iter().map(|(name, _)| name.as_str()), LABEL) + 24.0;
        let names = names.min(wide * 0.45);
        let panels = Panels::new(self.quantities.len(), wide - names, 160.0, 28.0, 3);
        let head = self.caption.height(wide);
        let top = head + key_height(&self.keys, wide);
        let row = HEAD + self.rows.len() as f64 * ROW + FOOT;
        figure(width, top + row * panels.rows as f64 - 14.0, &self.caption, |canvas| {
            keys(canvas, &self.keys, head);
            for (index, quantity) in self.quantities.iter().enumerate() {
                let (left, top) = panels.corner(index, top, row);
                if panels.leftmost(index) {
                    self.names(canvas, top + HEAD, names);
                }
                self.panel(canvas, quantity, (left + names, top), panels.width);
            }
        })
    }

    fn names(&self, canvas: &Canvas, top: f64, width: f64) {
        for (index, (name, style)) in self.rows.iter().enumerate() {
            let y = top + (index as f64 + 0.5) * ROW;
            canvas.mark((7.0, y), 4.5, *style);
            canvas.short_text((17.0, y), name, LABEL, 1.0, width - 22.0);
            canvas.line(&[(0.0, y + ROW / 2.0), (canvas.width, y + ROW / 2.0)], INK, 0.08, 1.0);
        }
    }

    fn panel(&self, canvas: &Canvas, quantity: &Quantity, (left, top): Px, width: f64) {
        canvas.short_text((left, top + 9.0), &quantity.name, 13.5, 1.0, width);
        canvas.short_text((left, top + 26.0), &quantity.unit, TICK, SOFT, width);
        let texts = quantity.values.iter().flatten().map(|dot| dot.text.as_str());
        let right = left + width - widest(texts, TICK) - 14.0;
        let Some(axis) = quantity.axis() else { return };
        let x = |value: f64| left + 6.0 + (right - left - 12.0) * axis.share(quantity.scale.place(value));
        let (from, to) = (top + HEAD, top + HEAD + self.rows.len() as f64 * ROW);
        if let Some((low, high)) = quantity.shade {
            canvas.rectangle((x(low), from), (x(high), to), INK, 0.1);
        }
        quantity.ticks(canvas, &axis, x, to);
        let zero = if quantity.scale == Scale::Change { 0.6 } else { 0.4 };
        canvas.line(&[(x(0.0), from), (x(0.0), to)], INK, zero, 1.0);
        for (index, (dot, (_, style))) in quantity.values.iter().zip(&self.rows).enumerate() {
            let Some(dot) = dot else { continue };
            let y = from + (index as f64 + 0.5) * ROW;
            let (opacity, ink, radius) = if dot.full { (1.0, 1.0, 4.5) } else { (0.45, SOFT, 4.0) };
            canvas.line(&[(x(dot.low), y), (x(dot.high), y)], style.colour, opacity, 2.0);
            canvas.mark((x(dot.middle), y), radius, Style { hollow: style.hollow || !dot.full, ..*style });
            canvas.text((left + width, y), &dot.text, TICK, ink, Anchor::Right);
        }
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

impl Quantity {
    fn axis(&self) -> Option<Axis> {
        let ends = self.values.iter().flatten().flat_map(|dot| [dot.low, dot.high, dot.middle]);
        let mut all: Vec<f64> = ends.collect();
        if all.is_empty() {
            return None;
        }
        all.extend(self.shade.iter().flat_map(|(low, high)| [*low, *high]));
        all.push(0.0);
        let places = all.into_iter().filter(|value| value.is_finite()).map(|value| self.scale.place(value));
        if self.scale == Scale::FromZero {
            return Axis::linear(places);
        }
        let (low, high) = places.fold((1.0_f64, 1.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        // At least a tenth of a percent on either side.
        Some(Axis { low: (low / 1.01).min(0.998), high: (high * 1.01).max(1.002), log: true })
    }

    fn ticks(&self, canvas: &Canvas, axis: &Axis, x: impl Fn(f64) -> f64, bottom: f64) {
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
            canvas.line(&[(at, bottom), (at, bottom + 4.0)], INK, 0.5, 1.0);
            canvas.text((at, bottom + 13.0), &name, TICK, SOFT, Anchor::Middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::WIDE;
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
        let quantity = |index: usize| Quantity {
            name: ["Rate", "p50", "p99", "System CPU", "Switches"][index].into(),
            unit: "change, %".into(),
            scale,
            shade: Some((-spread, spread)),
            values: (0..count).map(dot).collect(),
        };
        Dots {
            caption: Caption::new(
                "Differences from inherited, full load",
                "Median of paired differences and 95 % interval.",
            ),
            rows: strategies(count),
            quantities: (0..5).map(quantity).collect(),
            keys: Vec::new(),
        }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_strategies() {
        for (count, width) in COUNTS {
            for (scale, spread) in [(Scale::Change, 0.3), (Scale::Change, 40.0), (Scale::FromZero, 1234.0)] {
                let figure = sample(count, scale, spread).draw(width);
                assert_eq!(clashes(&figure), "", "{count} at {width} px, {scale:?} {spread}");
            }
        }
    }

    #[test]
    fn a_change_is_named_with_its_sign_and_zero_always_is() {
        let svg = sample(8, Scale::Change, 8.0).draw(WIDE).inline();
        assert!(svg.contains(">0</text>") && svg.contains(">+"), "{svg}");
    }

    #[test]
    fn nothing_has_no_minus() {
        let text = |median| Dot::change(median, [0.0; 2], false).text;
        assert_eq!([-0.01, -0.2, 12.34, 250.4].map(text), ["+0.0", "-0.2", "+12.3", "+250"]);
    }

    #[test]
    fn the_least_effect_is_shaded_and_what_counts_is_filled() {
        let change = |median: f64, counts| Some(Dot::change(median, [median - 2.0, median + 2.0], counts));
        let forest = |counts| {
            let values = vec![None, change(0.4, false), change(250.0, counts)];
            let quantities = vec![Quantity::changes("p99", Some(1.5), values)];
            Dots::forest(Caption::new("Differences", "Median and interval."), strategies(3), quantities)
        };
        let (with, without) = (forest(true).draw(WIDE), forest(false).draw(WIDE));
        assert_eq!(clashes(&with), "");
        assert!(
            with.inline().contains("filled: a difference that counts") && with.inline().contains(">+250<")
        );
        assert!(!without.inline().contains("filled"));
    }

    #[test]
    fn no_two_texts_meet_and_all_costs_are_zero_based() {
        for (count, width) in COUNTS {
            let cost = |name: &str, scale: f64| Quantity {
                name: name.into(),
                unit: "us per connection".into(),
                scale: Scale::FromZero,
                shade: None,
                values: (0..count)
                    .map(|n| Some(Dot::value(scale + n as f64, [scale, scale + n as f64 * 2.0], 2)))
                    .collect(),
            };
            let costs = Dots {
                caption: Caption::new("What a connection costs", "Median over runs."),
                rows: strategies(count),
                quantities: vec![
                    cost("System CPU", 900.0),
                    cost("Wake-ups", 1.0),
                    cost("Empty wake-ups", 0.0),
                ],
                keys: Vec::new(),
            };
            let figure = costs.draw(width);
            assert_eq!(clashes(&figure), "", "{count} at {width} px");
            assert_eq!(figure.inline().matches(">0</text>").count(), 3);
        }
    }
}
