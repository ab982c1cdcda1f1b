//! The small figures of the overview: a dot with its interval on the scale of its column. The text beside a dot says the same. The
//! template draws them (macros.html).

use serde_json::{Value, json};

use super::columns::Form;
use crate::lab::plot::Axis;
use crate::lab::report::text::{number, percent};
use crate::measure::stats::Interval;

/// In the units of the drawing, which stretches to the width of its cell.
const WIDTH: f64 = 120.0;
/// Room for half a dot at both ends.
const EDGE: f64 = 4.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    form: Form,
    axis: Axis,
}

impl Scale {
    /// A scale on which all values have a place; its ends are round.
    pub fn over(form: Form, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let [low, high] = match (form, Interval::range(&values)) {
            (Form::Share, _) => [0.0, 1.0],
            (_, None) => [1.0, 10.0],
            (Form::Factors, Some(all)) => [below(all.low.max(1e-3)), above(all.high.max(1e-3))],
            (Form::From(zero), Some(all)) => {
                let zero = f64::from(zero);
                [zero, zero + above((all.high - zero).max(1e-3))]
            }
        };
        let high = if high > low { high } else { low * 2.0 + f64::EPSILON };
        Self { form, axis: Axis { low, high, log: form == Form::Factors } }
    }

    /// In the units of the drawing; what lies beyond an end is drawn at the end.
    fn place(&self, value: f64) -> f64 {
        EDGE + self.axis.share(value) * (WIDTH - 2.0 * EDGE)
    }

    /// The ends in words.
    pub fn ends(&self) -> [String; 2] {
        [self.axis.low, self.axis.high].map(|end| match self.form {
            Form::Share => percent(end, 0),
            _ if end.fract() == 0.0 => number(end, 0),
            _ => number(end, if end < 0.1 { 2 } else { 1 }),
        })
    }
}

/// The next of 1, 2, 5, 10, 20, ... that is not smaller.
fn above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= value * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

/// The next of them that is not greater.
fn below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let step = [5.0, 2.0].into_iter().find(|step| step * power <= value * (1.0 + 1e-9));
    step.unwrap_or(1.0) * power
}

/// For the template: the places of a dot, of the ends of its interval, and of the default.
pub fn places(scale: &Scale, [low, value, high]: [f64; 3], default: Option<f64>) -> Value {
    let at = |value: f64| format!("{:.1}", scale.place(value));
    json!({ "low": at(low), "value": at(value), "high": at(high), "default": default.map(at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_round_ends_and_a_place_for_every_value() {
        let ends = |form, values: &[f64]| Scale::over(form, values.iter().copied()).ends().join(" ");
        assert_eq!(ends(Form::Factors, &[9.7, 31.0]), "5 50");
        assert_eq!(ends(Form::From(0), &[-0.4, 117.0]), "0 200");
        assert_eq!(ends(Form::From(1), &[1.0, 3.6]), "1 6");
        assert_eq!(ends(Form::Share, &[0.02]), "0 % 100 %");
        for form in [Form::Factors, Form::From(0), Form::From(1), Form::Share] {
            for values in [&[][..], &[0.0], &[1.0], &[5.0, 5.0], &[f64::NAN, 2.0]] {
                let scale = Scale::over(form, values.iter().copied());
                for value in values.iter().copied().chain([-1e9, 0.0, 1e9]) {
                    let place = scale.place(value);
                    assert!(
                        value.is_nan() || (EDGE..=WIDTH - EDGE).contains(&place),
                        "{form:?} {value}: {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn more_lies_further_right_and_a_dot_within_its_interval() {
        let scale = Scale::over(Form::Factors, [1.0, 100.0].into_iter());
        assert!((scale.place(10.0) - WIDTH / 2.0).abs() < 0.1);
        let content = json!({ "dot": places(&scale, [8.0, 10.0, 20.0], Some(1.0)) });
        let page = "{% from 'macros.html' import strip %}{{ strip(dot, 'worse') }}";
        let svg = crate::lab::report::templates::render("strip.html", page, &content).unwrap();
        assert!(svg.contains("class=\"strip worse\"") && svg.contains("cx=\"60.0\""), "{svg}");
        assert!(svg.contains("x1=\"4.0\" x2=\"4.0\""), "the default at the left end: {svg}");
    }
}
