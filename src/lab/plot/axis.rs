//! Axes: from values to a share of the space, and round values to name. Pure.

use std::ops::Range;

use itertools::Itertools;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::canvas::TICK;
use super::layout::text_width;

/// A range of values on a linear or logarithmic scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub log: bool,
}

/// An axis and the values to name on it: a coordinate of a plotters chart. A value without a name has a grid line only.
#[derive(Clone, Debug)]
pub struct Ruler {
    pub axis: Axis,
    pub ticks: Vec<(f64, String)>,
}

/// What an axis shows.
#[derive(Clone, Debug, Default)]
pub struct Dimension {
    pub name: String,
    pub log: bool,
    /// Values to name, and their names; without any, round values.
    pub ticks: Vec<(f64, String)>,
    /// A linear axis reaches this value at least.
    pub least: f64,
}

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.axis.share(*value)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.axis.low..self.axis.high
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks.iter().find(|(tick, _)| tick == value).map(|(_, name)| name.clone()).unwrap_or_default()
    }
}

impl Axis {
    /// From 0 (or the smallest value, if that is negative) to a little beyond the largest. `None` without values.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = bounds(values)?;
        let high = high.max(0.0);
        let low = low.min(0.0);
        let room = if high > low { (high - low) * 0.06 } else { 1.0 };
        Some(Self { low: if low < 0.0 { low - room } else { 0.0 }, high: high + room, log: false })
    }

    /// A little around the values above 0; at least a factor of 1.3.
    pub fn log(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = bounds(values.into_iter().filter(|value| *value > 0.0))?;
        Some(Self { low: low * 0.9, high: high.max(low * 1.17) * 1.1, log: true })
    }

    /// From one value to another, exactly.
    pub fn exact(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, log: false }
    }

    /// The position of a value: 0 at the low end, 1 at the high end. Values outside are moved to the nearest end.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// At most `most` round values on the axis.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        if !self.log {
            return even(self.low, self.high, most);
        }
        let chosen = factors(self.low, self.high, most);
        if chosen.len() < 2 { even(self.low, self.high, most) } else { chosen }
    }
}

/// The least and the greatest of the finite values.
fn bounds(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).minmax_by(f64::total_cmp).into_option()
}

impl Dimension {
    pub fn new(name: &str, log: bool) -> Self {
        Self { name: name.into(), log, ..Self::default() }
    }

    /// `tight`: a linear axis ends with the values. `None` without values.
    pub fn axis(&self, values: Vec<f64>, tight: bool) -> Option<Axis> {
        let (low, high) = bounds(values.iter().copied())?;
        match (self.log, tight) {
            (true, _) => Axis::log(values),
            (false, true) => Some(Axis::exact(low, high)),
            (false, false) => Axis::linear(values.into_iter().chain([self.least])),
        }
    }

    pub fn named(&self, axis: &Axis, most: usize) -> Vec<(f64, String)> {
        if self.ticks.is_empty() {
            return axis.ticks(most).into_iter().map(|value| (value, short(value))).collect();
        }
        self.ticks.iter().filter(|(value, _)| (axis.low..=axis.high).contains(value)).cloned().collect()
    }

    /// A horizontal axis within `width` px, including the margin `right`, which grows if the last name needs it. Names
    /// that would overlap are left out.
    pub fn horizontal(&self, axis: Axis, width: f64, right: f64) -> (Ruler, f64) {
        let most = ((width - right) / 58.0).clamp(2.0, 9.0) as usize;
        let mut ticks = self.named(&axis, most);
        let half = |name: &str| text_width(name, TICK) / 2.0;
        let end = |(value, name): &(f64, String)| axis.share(*value) * (width - right) + half(name);
        let right = right + ticks.last().map_or(0.0, |last| end(last) - width).max(0.0);
        let mut free = f64::NEG_INFINITY;
        for (value, name) in &mut ticks {
            let (at, half) = (axis.share(*value) * (width - right), half(name));
            if at - half > free {
                free = at + half + 6.0;
            } else {
                name.clear();
            }
        }
        (Ruler { axis, ticks }, right)
    }
}

/// 1, 2 or 5 times a power of ten apart.
fn even(low: f64, high: f64, most: usize) -> Vec<f64> {
    let span = high - low;
    let start = (span / most.max(1) as f64).log10().floor() as i32;
    let steps = (start..=start + 2).flat_map(|power| [1.0, 2.0, 5.0].map(|f| f * 10_f64.powi(power)));
    let at = |step: f64| -> Vec<f64> {
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        (first..=last).map(|n| round(n as f64 * step)).collect()
    };
    steps.map(at).find(|ticks| ticks.len() <= most.max(2)).unwrap_or_default()
}

/// 1, 2 and 5 times each power of ten; fewer over many decades, more within one.
fn factors(low: f64, high: f64, most: usize) -> Vec<f64> {
    let steps = |factors: &[f64]| -> Vec<f64> {
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let all = powers.cartesian_product(factors).map(|(power, factor)| round(factor * 10_f64.powi(power)));
        all.filter(|value| (low..=high).contains(value)).collect()
    };
    let candidates = [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]];
    let mut chosen = Vec::new();
    for factors in candidates {
        let next = steps(factors);
        if next.len() > most {
            break;
        }
        chosen = next;
    }
    if chosen.is_empty() {
        let all = steps(&[1.0]);
        chosen = all.iter().copied().step_by(all.len().div_ceil(most.max(1)).max(1)).collect();
    }
    chosen
}

/// Removes rounding errors: 0.3, not 0.30000000000000004.
fn round(value: f64) -> f64 {
    let scale = 10_f64.powi(9 - value.abs().max(1e-9).log10().floor() as i32);
    (value * scale).round() / scale
}

/// A value as the name of a tick: 0.05, 12, 1500, 20k, 3M.
pub fn short(value: f64) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.4}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if text == "-0" { "0".to_owned() } else { text.to_owned() }
    };
    match value.abs() {
        size if size >= 1e6 => format!("{}M", plain(value / 1e6)),
        size if size >= 1e4 => format!("{}k", plain(value / 1e3)),
        _ => plain(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ticks_lie_on_the_axis_in_order_and_are_not_too_many(
            low in 1e-3..1e5_f64, factor in 1.0..1e6_f64, most in 2..9_usize, log in any::<bool>(),
        ) {
            let values = [low, low * factor];
            let axis = if log { Axis::log(values) } else { Axis::linear(values) }.unwrap();
            let ticks = axis.ticks(most);
            prop_assert!((1..=most).contains(&ticks.len()), "{axis:?}: {ticks:?}");
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(ticks.iter().all(|tick| (axis.low - 1e-9..=axis.high * (1.0 + 1e-9)).contains(tick)));
        }

        #[test]
        fn greater_values_lie_farther(a in 0.0..1e6_f64, b in 0.0..1e6_f64) {
            for axis in [Axis::linear([a, b, 1.0]).unwrap(), Axis::log([a, b, 1.0]).unwrap()] {
                prop_assert!(a >= b || axis.share(a) <= axis.share(b));
                prop_assert!((0.0..=1.0).contains(&axis.share(a)));
            }
        }
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Axis { low: 0.25, high: 6.0, log: true }.ticks(8), [0.5, 1.0, 2.0, 5.0]);
        assert_eq!(Axis::linear([0.0, 100.0]).unwrap().ticks(4), [0.0, 50.0, 100.0]);
        assert_eq!(Axis::linear([-30.0, 10.0]).unwrap().ticks(5), [-30.0, -20.0, -10.0, 0.0, 10.0]);
    }

    #[test]
    fn ticks_are_written_shortly() {
        let texts: Vec<_> = [0.0, 0.05, 12.0, 1500.0, 20_000.0, 2.5e6, -0.0].map(short).into();
        assert_eq!(texts, ["0", "0.05", "12", "1500", "20k", "2.5M", "0"]);
    }
}
