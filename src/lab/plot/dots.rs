//! Rows of dots: a row per column, a panel per quantity. Changes from the baseline, costs, shares of workers, claims, slopes.
//!
//! plotters is only the pen here: the rows share one column of names, changes in percent have a scale and ticks of their
//! own, and plotters has no series of marks with intervals and values beside them.

use super::axis::{Axis, short};
use super::canvas::{Canvas, Caption, Figure, HPos, INK, LABEL, SOFT, TICK, dashed, figure, stroke};
use super::keys::{Key, key_height, keys};
use super::layout::{Panels, Px, text_width, widest, wrap};
use super::style::{ALARM, Style};
use crate::measure::stats::Interval;

#[derive(Debug, Default)]
pub struct Dots {
    pub caption: Caption,
    pub rows: Vec<(String, Style)>,
    pub quantities: Vec<Quantity>,
    pub keys: Vec<Key>,
    /// Whether all panels have the same scale.
    pub one_scale: bool,
}

#[derive(Debug, Default)]
pub struct Quantity {
    pub name: String,
    pub unit: String,
    pub scale: Scale,
    /// A range that is shaded.
    pub shade: Option<(f64, f64)>,
    /// A dashed line: a limit, the fair share.
    pub line: Option<f64>,
    /// The meanings of the two ends of the axis.
    pub ends: [&'static str; 2],
    pub values: Vec<Option<Dot>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scale {
    #[default]
    FromZero,
    /// Changes in percent, as factors: -50 is as far from 0 as +100. The flag: smaller ones are to the right.
    Change(bool),
    /// Factors: 0.5 is as far from 1 as 2.
    Ratio,
    /// From one value to another.
    Exact(f64, f64),
}

#[derive(Clone, Debug, Default)]
pub struct Dot {
    pub middle: Option<f64>,
    pub interval: Option<Interval>,
    /// The value as text, at the right.
    pub text: String,
    /// Whether the mark is filled; pale otherwise.
    pub full: bool,
    /// Further values, as small dots.
    pub points: Vec<f64>,
    /// A value with a ring in the colour of alarms.
    pub ring: Option<f64>,
    /// A value of others, as a hollow mark.
    pub theirs: Option<f64>,
}

impl Dot {
    pub fn value(middle: f64, interval: Interval, digits: usize) -> Self {
        let text = format!("{middle:.digits$}");
        Self { middle: Some(middle), interval: Some(interval), text, full: true, ..Self::default() }
    }

    /// A change in percent, with its sign and without a minus before zero; `counts` if the difference is judged real.
    pub fn change(median: f64, interval: Interval, counts: bool) -> Self {
        let percent = if median.abs() < 0.05 { 0.0 } else { median };
        let digits = if percent.abs() >= 100.0 { 0 } else { 1 };
        Self { text: format!("{percent:+.digits$}"), full: counts, ..Self::value(median, interval, 0) }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let interval = self.interval.into_iter().flat_map(|interval| [interval.low, interval.high]);
        let marks = self.middle.into_iter().chain(self.theirs).chain(self.ring);
        interval.chain(marks).chain(self.points.iter().copied())
    }
}

const ROW: f64 = 22.0;
const HEAD_LINE: f64 = 17.0;
const NAME: f64 = 13.5;
const FOOT: f64 = 30.0;
/// More points are lines.
const MANY: usize = 70;
/// Of the names of the ends of the axis.
const ENDS: f64 = 17.0;
/// Changes that a tick may name, in order of preference.
const CHANGES: [f64; 25] = [
    0.0, -10.0, 10.0, -50.0, 100.0, 900.0, -90.0, 9900.0, -20.0, 20.0, 50.0, -30.0, 300.0, -5.0, 5.0, -2.0,
    2.0, -1.0, 1.0, -0.5, 0.5, -0.2, 0.2, -0.1, 0.1,
];

impl Dots {
    pub fn draw(&self, width: i32) -> Figure {
        let wide = f64::from(width);
        let names = widest(self.rows.iter().map(|(name, _)| name.as_str()), LABEL) + 24.0;
        let names = names.min(wide * 0.45);
        let panels = Panels::new(self.quantities.len(), wide - names, 160.0, 28.0, 3);
        let head = self.caption.height(wide);
        let top = head + key_height(&self.keys, wide);
        let ends = if self.quantities.iter().any(|quantity| quantity.ends != ["", ""]) { ENDS } else { 0.0 };
        let head_of = |quantity: &Quantity| quantity.head(panels.width).concat().len();
        let lines = self.quantities.iter().map(head_of).max().unwrap_or(0);
        let above = lines as f64 * HEAD_LINE + 6.0;
        let row = above + self.rows.len() as f64 * ROW + FOOT + ends + 8.0;
        figure(width, top + row * panels.rows as f64 - 12.0, &self.caption, |canvas| {
            keys(canvas, &self.keys, head);
            for (index, quantity) in self.quantities.iter().enumerate() {
                let (left, top) = panels.corner(index, top, row);
                if index.is_multiple_of(panels.columns) {
                    self.names(canvas, top + above, names);
                }
                self.panel(canvas, quantity, (left + names, top + above), panels.width);
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

    /// The axis of a quantity; `None` without values.
    fn axis(&self, quantity: &Quantity) -> Option<Axis> {
        let (own, change) = (quantity.scale, quantity.scale.is_change());
        let same =
            |other: &&Quantity| self.one_scale && (other.scale == own || change && other.scale.is_change());
        let places = self.quantities.iter().filter(same).chain([quantity]).flat_map(Quantity::places);
        own.axis(&places.collect::<Vec<_>>())
    }

    fn panel(&self, canvas: &Canvas, quantity: &Quantity, (left, top): Px, width: f64) {
        let [name, unit] = quantity.head(width);
        let mut y = top + 4.0 - (name.len() + unit.len()) as f64 * HEAD_LINE;
        let sizes =
            name.iter().map(|line| (line, NAME, 1.0)).chain(unit.iter().map(|line| (line, TICK, SOFT)));
        for (line, size, opacity) in sizes {
            canvas.short_text((left, y), line, size, opacity, width);
            y += HEAD_LINE;
        }
        let texts = quantity.values.iter().flatten().map(|dot| dot.text.as_str());
        let right = left + width - widest(texts, TICK) - 14.0;
        let Some(axis) = self.axis(quantity) else { return };
        let x = |value: f64| left + 6.0 + (right - left - 12.0) * axis.share(quantity.scale.place(value));
        let (from, to) = (top, top + self.rows.len() as f64 * ROW);
        if let Some((low, high)) = quantity.shade {
            canvas.rectangle((x(low), from), (x(high), to), INK, 0.1);
        }
        quantity.ticks(canvas, &axis, x, to);
        let [low, high] = quantity.ends;
        canvas.soft((left + 2.0, to + FOOT), low, HPos::Left);
        canvas.soft((right - 2.0, to + FOOT), high, HPos::Right);
        if let Some(zero) = quantity.scale.zero() {
            canvas.line(&[(x(zero), from), (x(zero), to)], INK, 0.5, 1.0);
        }
        if let Some(line) = quantity.line {
            canvas.path(&[(x(line), from - 4.0), (x(line), to)], dashed(stroke(INK, 0.8, 1.0)));
        }
        for (index, (dot, (_, style))) in quantity.values.iter().zip(&self.rows).enumerate() {
            let Some(dot) = dot else { continue };
            let y = from + (index as f64 + 0.5) * ROW;
            dot.draw(canvas, y, *style, x);
            let ink = if dot.full { 1.0 } else { SOFT };
            canvas.text((left + width, y), &dot.text, TICK, ink, HPos::Right);
        }
    }
}

impl Dot {
    fn draw(&self, canvas: &Canvas, y: f64, style: Style, x: impl Fn(f64) -> f64) {
        let (opacity, radius) = if self.full { (1.0, 4.5) } else { (0.5, 4.0) };
        for at in self.points.iter().map(|value| x(*value)) {
            if self.points.len() > MANY {
                canvas.line(&[(at, y - 5.0), (at, y + 5.0)], style.colour, 0.8, 1.0);
            } else {
                canvas.mark((at, y), 3.6, style);
            }
        }
        if let Some(Interval { low, high }) = self.interval {
            canvas.line(&[(x(low), y), (x(high), y)], style.colour, opacity, 2.0);
        }
        if let Some(theirs) = self.theirs {
            canvas.mark((x(theirs), y), 5.0, Style { hollow: true, ..style });
        }
        if let Some(middle) = self.middle {
            canvas.mark((x(middle), y), radius, Style { hollow: style.hollow || !self.full, ..style });
        }
        if let Some(value) = self.ring {
            canvas.ring((x(value), y), 8.0, ALARM, 2.0);
        }
    }
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Change(false) => (1.0 + value / 100.0).max(0.01),
            Self::Change(true) => 1.0 / (1.0 + value / 100.0).max(0.01),
            _ => value,
        }
    }

    fn is_change(self) -> bool {
        matches!(self, Self::Change(_))
    }

    fn name(self, value: f64) -> String {
        match self {
            Self::Change(_) if value > 0.0 => format!("+{}", short(value)),
            _ => short(value),
        }
    }

    /// Where nothing differs.
    fn zero(self) -> Option<f64> {
        match self {
            Self::Change(_) | Self::FromZero => Some(0.0),
            Self::Ratio => Some(1.0),
            Self::Exact(..) => None,
        }
    }

    /// The axis that holds these places; `None` without any.
    fn axis(self, places: &[f64]) -> Option<Axis> {
        let places = || places.iter().copied().filter(|place| place.is_finite());
        places().next()?;
        let around_one = |margin: f64, least: f64| {
            let (low, high) =
                places().filter(|v| *v > 0.0).fold((1.0_f64, 1.0_f64), |(l, h), v| (l.min(v), h.max(v)));
            // At least a little on either side.
            Axis { low: (low / margin).min(1.0 / least), high: (high * margin).max(least), log: true }
        };
        match self {
            Self::FromZero => Axis::linear(places().chain([0.0])),
            Self::Change(_) => Some(around_one(1.01, 1.002)),
            Self::Ratio => Some(around_one(1.1, 1.1)),
            Self::Exact(low, high) => Some(Axis::exact(low, high)),
        }
    }
}

impl Quantity {
    /// Lines of the name and of the unit.
    fn head(&self, width: f64) -> [Vec<String>; 2] {
        [wrap(&self.name, NAME, width), wrap(&self.unit, TICK, width)]
    }

    /// All that the axis must hold: values and a limit. A shade ends with the axis.
    fn places(&self) -> Vec<f64> {
        let values = self.values.iter().flatten().flat_map(Dot::values).chain(self.line);
        values.map(|value| self.scale.place(value)).collect()
    }

    fn ticks(&self, canvas: &Canvas, axis: &Axis, x: impl Fn(f64) -> f64, bottom: f64) {
        let wanted = if self.scale.is_change() { CHANGES.to_vec() } else { axis.ticks(4) };
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for value in wanted {
            let place = self.scale.place(value);
            let name = self.scale.name(value);
            let half = text_width(&name, TICK) / 2.0 + 4.0;
            let at = x(value);
            let free = taken.iter().all(|(from, to)| at + half <= *from || *to <= at - half);
            if free && (axis.low..=axis.high).contains(&place) {
                taken.push((at - half, at + half));
                canvas.tick((at, bottom), &name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plot::WIDE;
    use crate::lab::plot::clash_tests::{COUNTS, clashes, strategies};

    fn quantity(name: &str, scale: Scale, count: usize, spread: f64) -> Quantity {
        let dot = |row: usize| {
            let middle = (row as f64 - if scale == Scale::FromZero { 0.0 } else { 3.0 }) * spread;
            let interval = Interval { low: middle - spread, high: middle + spread * 2.0 };
            Some(Dot::change(middle, interval, row.is_multiple_of(2)))
        };
        Quantity {
            name: name.into(),
            unit: "change, %".into(),
            scale,
            shade: Some((-spread, spread)),
            values: (0..count).map(dot).collect(),
            ..Quantity::default()
        }
    }

    fn figure_of(count: usize, quantities: Vec<Quantity>) -> Dots {
        let caption =
            Caption::new("Change from inherited", "Median of paired differences and 95 % interval.");
        Dots { caption, rows: strategies(count), quantities, ..Dots::default() }
    }

    #[test]
    fn no_two_texts_meet_at_any_count_of_columns() {
        for (count, width) in COUNTS {
            let scales = [
                (Scale::Change(false), 0.3),
                (Scale::Change(true), 40.0),
                (Scale::FromZero, 1234.0),
                (Scale::Exact(0.0, 100.0), 9.0),
            ];
            for (scale, spread) in scales {
                let names = ["Rate", "p50", "p99", "System CPU", "Switches"];
                let of = |name| Quantity {
                    ends: ["\u{2190} better", "worse \u{2192}"],
                    ..quantity(name, scale, count, spread)
                };
                let figure = figure_of(count, names.map(of).into()).draw(width);
                assert_eq!(clashes(&figure), "", "{count} at {width} px, {scale:?} {spread}");
            }
        }
    }

    #[test]
    fn a_change_is_named_with_its_sign_and_zero_always_is() {
        let svg = figure_of(8, vec![quantity("p99", Scale::Change(false), 8, 8.0)]).draw(WIDE).inline();
        assert!(svg.contains(">0</text>") && svg.contains(">+"), "{svg}");
        let none = Interval { low: 0.0, high: 0.0 };
        let text = |median| Dot::change(median, none, false).text;
        assert_eq!([-0.01, -0.2, 12.34, 250.4].map(text), ["+0.0", "-0.2", "+12.3", "+250"]);
    }

    #[test]
    fn worse_is_to_the_right_whether_more_or_less_is_better() {
        let place = |less_is_worse, value| Scale::Change(less_is_worse).place(value);
        assert!(place(true, -50.0) > place(true, 0.0) && place(false, -50.0) < place(false, 0.0));
        assert_eq!(place(true, -50.0), place(false, 100.0), "half is as far as twice");
    }

    #[test]
    fn on_one_scale_a_small_change_stays_small() {
        let at = |one_scale| {
            let quantities = vec![
                quantity("a", Scale::Change(false), 3, 1.0),
                quantity("b", Scale::Change(false), 3, 90.0),
            ];
            let dots = Dots { one_scale, ..figure_of(3, quantities) };
            let axis = dots.axis(&dots.quantities[0]).unwrap();
            axis.share(1.02) - axis.share(0.98)
        };
        assert!(at(true) < at(false) / 4.0);
    }

    #[test]
    fn workers_are_dots_the_struck_one_has_a_ring_and_a_published_value_is_hollow() {
        let shares =
            Dot { points: vec![70.0, 20.0, 10.0], ring: Some(10.0), text: "70 %".into(), ..Dot::default() };
        let strip = Quantity {
            scale: Scale::Exact(0.0, 100.0),
            line: Some(33.3),
            values: vec![Some(shares)],
            ..Quantity::default()
        };
        let svg = figure_of(1, vec![strip]).draw(WIDE).inline();
        assert_eq!(svg.matches("#CA1129").count(), 1, "{svg}");
        assert!(svg.contains(">100</text>") && svg.contains("dasharray"));
        let claim = Dot { theirs: Some(1045.0), ..Dot::value(1.0, Interval { low: 0.9, high: 1.2 }, 2) };
        let ratio = Quantity { scale: Scale::Ratio, values: vec![Some(claim)], ..Quantity::default() };
        let svg = figure_of(1, vec![ratio]).draw(WIDE).inline();
        assert!(svg.contains(">1</text>") && svg.contains(">1000</text>"), "{svg}");
    }

    #[test]
    fn all_costs_are_zero_based() {
        let cost = |name: &str, scale: f64| Quantity {
            name: name.into(),
            unit: "us per connection".into(),
            values: (0..6)
                .map(|n| Interval { low: scale, high: scale + f64::from(n) * 2.0 })
                .map(|interval| Some(Dot::value(f64::midpoint(interval.low, interval.high), interval, 2)))
                .collect(),
            ..Quantity::default()
        };
        let figure =
            figure_of(6, vec![cost("System CPU", 900.0), cost("Wake-ups", 1.0), cost("Empty wake-ups", 0.0)])
                .draw(WIDE);
        assert_eq!((clashes(&figure).as_str(), figure.inline().matches(">0</text>").count()), ("", 3));
    }
}
