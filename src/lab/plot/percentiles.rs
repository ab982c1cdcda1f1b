//! Percentile curves: latency over 1/(1-q), both logarithmic, a line per strategy and a band over its runs.

use super::{Anchor, Canvas, Figure, INK, Look, Px, Result, figure, spread_out, text_width};

/// What to draw.
#[derive(Debug)]
pub struct Percentiles {
    /// Headline.
    pub title: String,
    /// What is drawn, in a line or two.
    pub note: String,
    /// The lines.
    pub curves: Vec<Curve>,
}

/// One line with its band.
#[derive(Debug)]
pub struct Curve {
    /// Direct label.
    pub label: String,
    /// Colour.
    pub look: Look,
    /// log10 of 1/(1-q), and the middle, the lower and the upper end in ms.
    pub points: Vec<(f64, [f64; 3])>,
}

const LABEL: f64 = 13.0;
const TICK: f64 = 12.0;
/// Percentiles that are named on the axis, by log10 of 1/(1-q).
const NAMED: [(f64, &str); 5] =
    [(std::f64::consts::LOG10_2, "50 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")];

/// From data to px.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    near: f64,
    reach: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, nines: f64) -> f64 {
        self.left + (self.right - self.left) * (nines - self.near) / (self.reach - self.near)
    }

    fn y(&self, ms: f64) -> f64 {
        let share = (ms.max(1e-6) / self.low).ln() / (self.high / self.low).ln();
        self.bottom - (self.bottom - self.top) * share
    }

    fn at(&self, nines: f64, ms: f64) -> Px {
        (self.x(nines), self.y(ms))
    }
}

impl Percentiles {
    /// The figure at this width.
    ///
    /// # Errors
    /// None that is known.
    pub fn draw(&self, width: i32) -> Result<Figure> {
        let height = (f64::from(width) * 0.55).clamp(330.0, 430.0);
        figure(width, height, &self.title, |canvas| {
            let top = canvas.heading(&self.title, &self.note)? + 6.0;
            let Some(frame) = self.frame(canvas, top, height) else {
                return canvas.text((0.0, top + 20.0), "no run to draw", LABEL, 0.7, Anchor::Left);
            };
            self.grid(canvas, &frame)?;
            for curve in &self.curves {
                let upper = curve.points.iter().map(|(u, [_, _, high])| frame.at(*u, *high));
                let lower = curve.points.iter().rev().map(|(u, [_, low, _])| frame.at(*u, *low));
                canvas.fill(&upper.chain(lower).collect::<Vec<_>>(), curve.look.colour, 0.14)?;
            }
            for curve in &self.curves {
                let line: Vec<Px> =
                    curve.points.iter().map(|(u, [middle, ..])| frame.at(*u, *middle)).collect();
                canvas.stroke(&line, curve.look, 2.0)?;
            }
            self.labels(canvas, &frame)
        })
    }

    fn frame(&self, canvas: &Canvas, top: f64, height: f64) -> Option<Frame> {
        let all = || self.curves.iter().flat_map(|curve| &curve.points);
        let near = all().map(|(u, _)| *u).reduce(f64::min)?;
        let reach = all().map(|(u, _)| *u).reduce(f64::max).filter(|reach| *reach > near)?;
        let low = all().map(|(_, [_, low, _])| *low).reduce(f64::min)?.max(1e-3);
        let high = all().map(|(_, [_, _, high])| *high).reduce(f64::max)?.max(low * 1.2);
        let labels = self.curves.iter().map(|curve| text_width(&curve.label, LABEL)).fold(0.0, f64::max);
        Some(Frame {
            left: 46.0,
            right: canvas.width - labels - 34.0,
            top: top + 12.0,
            bottom: height - 42.0,
            near,
            reach,
            low: low * 0.9,
            high: high * 1.1,
        })
    }

    fn grid(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        canvas.text((0.0, frame.top - 12.0), "ms", TICK, 0.72, Anchor::Left)?;
        for ms in ticks(frame.low, frame.high) {
            let y = frame.y(ms);
            canvas.line(&[(frame.left, y), (frame.right, y)], INK, 0.13, 1.0)?;
            canvas.text((frame.left - 7.0, y), &format!("{ms}"), TICK, 0.72, Anchor::Right)?;
        }
        for (nines, name) in NAMED.into_iter().filter(|(nines, _)| (frame.near..=frame.reach).contains(nines))
        {
            let x = frame.x(nines);
            canvas.line(&[(x, frame.top), (x, frame.bottom)], INK, 0.13, 1.0)?;
            canvas.text((x, frame.bottom + 14.0), name, TICK, 0.72, Anchor::Middle)?;
        }
        canvas.line(&[(frame.left, frame.bottom), (frame.right, frame.bottom)], INK, 0.5, 1.0)?;
        let middle = f64::midpoint(frame.left, frame.right);
        canvas.text(
            (middle, frame.bottom + 33.0),
            "share of requests at least as fast",
            TICK,
            0.72,
            Anchor::Middle,
        )
    }

    fn labels(&self, canvas: &Canvas, frame: &Frame) -> Result<()> {
        let ends: Vec<(&Curve, Px)> = self
            .curves
            .iter()
            .filter_map(|curve| curve.points.last().map(|(u, [middle, ..])| (curve, frame.at(*u, *middle))))
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, (_, y))| *y).collect();
        let placed = spread_out(&wanted, 18.0, frame.top, frame.bottom - 4.0);
        for ((curve, end), y) in ends.iter().zip(placed) {
            let x = frame.right + 24.0;
            canvas.line(&[*end, (x - 4.0, y)], curve.look.colour, 0.8, 1.0)?;
            canvas.text((x, y), &curve.label, LABEL, 1.0, Anchor::Left)?;
        }
        Ok(())
    }
}

/// Round values between two: 1, 2 and 5 of each power of ten, fewer when there are many.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let steps = |factors: &[f64]| -> Vec<f64> {
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let all =
            powers.flat_map(|power| factors.iter().map(move |factor| round(factor * 10_f64.powi(power))));
        all.filter(|value| (low..=high).contains(value)).collect()
    };
    let candidates = [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]];
    let mut chosen = Vec::new();
    for factors in candidates {
        let next = steps(factors);
        if next.len() > 8 {
            break;
        }
        chosen = next;
    }
    chosen
}

/// Without the dust of powers: 0.3, not 0.30000000000000004.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_neither_few_nor_many() {
        for (low, high) in [(0.1, 10.0), (3.0, 30.0), (0.02, 2000.0), (9.0, 20.0)] {
            let ticks = ticks(low, high);
            assert!((3..=8).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
        }
        assert_eq!(ticks(0.25, 6.0), [0.5, 1.0, 2.0, 5.0]);
    }

    #[test]
    fn a_figure_without_runs_says_so() {
        let figure = Percentiles { title: "Nothing".into(), note: String::new(), curves: Vec::new() };
        assert!(figure.draw(super::super::WIDE).unwrap().inline().contains("no run to draw"));
    }
}
