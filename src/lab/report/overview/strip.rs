//! The small figures of the overview: a dot with its interval on the scale of its column, as SVG. The text beside a dot says the
//! same.

use super::columns::Form;
use crate::lab::report::text::{number, percent};

/// In the units of the drawing, which stretches to the width of its cell.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 14.0;
/// Room for half a dot at both ends.
const EDGE: f64 = 4.0;

/// From a value to a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    form: Form,
    low: f64,
    high: f64,
}

impl Scale {
    /// A scale on which all values have a place; its ends are round.
    pub fn over(form: Form, values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let most = values.iter().copied().fold(f64::MIN, f64::max);
        let least = values.iter().copied().fold(f64::MAX, f64::min);
        let [low, high] = match form {
            Form::Share => [0.0, 1.0],
            _ if values.is_empty() => [1.0, 10.0],
            Form::Factors => [below(least.max(1e-3)), above(most.max(1e-3))],
            Form::From(zero) => {
                let zero = f64::from(zero);
                [zero, zero + above((most - zero).max(1e-3))]
            }
        };
        Self { form, low, high: if high > low { high } else { low * 2.0 + f64::EPSILON } }
    }

    /// In the units of the drawing; what lies beyond an end is drawn at the end.
    fn place(&self, value: f64) -> f64 {
        let share = match self.form {
            Form::Factors => (value.max(1e-9) / self.low).ln() / (self.high / self.low).ln(),
            Form::From(_) | Form::Share => (value - self.low) / (self.high - self.low),
        };
        EDGE + share.clamp(0.0, 1.0) * (WIDTH - 2.0 * EDGE)
    }

    /// The ends in words.
    pub fn ends(&self) -> [String; 2] {
        [self.low, self.high].map(|end| match self.form {
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

/// A dot with its interval, and a line where the default is.
pub fn draw(scale: &Scale, [low, value, high]: [f64; 3], default: Option<f64>, class: &str) -> String {
    let (middle, end) = (HEIGHT / 2.0, WIDTH - EDGE);
    let at = |value: f64| format!("{:.1}", scale.place(value));
    let line = |class: &str, x1: &str, x2: &str, y1: f64, y2: f64| {
        format!("<line class=\"{class}\" x1=\"{x1}\" x2=\"{x2}\" y1=\"{y1}\" y2=\"{y2}\"/>")
    };
    let upright = default.map(|default| line("default", &at(default), &at(default), 0.0, HEIGHT));
    format!(
        "<svg class=\"strip {class}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" aria-hidden=\"true\" focusable=\"false\">\
         {}{}{}<circle cx=\"{}\" cy=\"{middle}\" r=\"3.4\"/></svg>",
        line("ground", &EDGE.to_string(), &end.to_string(), middle, middle),
        upright.unwrap_or_default(),
        line("interval", &at(low), &at(high), middle, middle),
        at(value)
    )
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
        let svg = draw(&scale, [8.0, 10.0, 20.0], Some(1.0), "worse");
        assert!(svg.contains("class=\"strip worse\"") && svg.contains("cx=\"60.0\""), "{svg}");
        assert!(svg.contains("x1=\"4.0\" x2=\"4.0\""), "the default at the left end: {svg}");
    }
}
