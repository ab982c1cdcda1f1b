//! Keys: the meaning of colours, marks and patterns, in rows above a figure.

use super::canvas::{Canvas, HPos, INK, TICK, dashed, stroke};
use super::layout::{flow, rows, text_width};
use super::style::Style;

/// A sample and its meaning.
#[derive(Clone, Debug)]
pub struct Key {
    pub text: String,
    pub sample: Sample,
}

#[derive(Clone, Copy, Debug)]
pub enum Sample {
    Strategy(Style),
    Solid,
    Dashed,
    Band,
    Ring,
    /// The text says it all.
    Nothing,
}

const KEY_ROW: f64 = 20.0;
const SAMPLE: f64 = 26.0;

impl Key {
    pub fn new(text: impl Into<String>, sample: Sample) -> Self {
        Self { text: text.into(), sample }
    }

    fn indent(&self) -> f64 {
        if matches!(self.sample, Sample::Nothing) { 0.0 } else { SAMPLE }
    }
}

fn key_places(keys: &[Key], width: f64) -> Vec<(usize, f64)> {
    let widths: Vec<f64> = keys.iter().map(|key| key.indent() + text_width(&key.text, TICK)).collect();
    flow(&widths, 14.0, width)
}

/// In px, including the space below.
pub fn key_height(keys: &[Key], width: f64) -> f64 {
    if keys.is_empty() { 0.0 } else { rows(&key_places(keys, width)) * KEY_ROW + 6.0 }
}

pub fn keys(canvas: &Canvas, keys: &[Key], top: f64) {
    for (key, (row, left)) in keys.iter().zip(key_places(keys, canvas.width)) {
        let y = top + row as f64 * KEY_ROW + 8.0;
        let line = [(left, y), (left + 20.0, y)];
        match key.sample {
            Sample::Strategy(style) => {
                canvas.line(&line, style.colour, 1.0, if style.hollow { 1.2 } else { 2.0 });
                canvas.mark((left + 10.0, y), 4.0, style);
            }
            Sample::Solid => canvas.line(&line, INK, 0.8, 2.0),
            Sample::Dashed => canvas.path(&line, dashed(stroke(INK, 0.8, 2.0))),
            Sample::Band => canvas.rectangle((left, y - 6.0), (left + 20.0, y + 6.0), INK, 0.15),
            Sample::Ring => canvas.ring((left + 10.0, y), 6.0, INK, 1.25),
            Sample::Nothing => {}
        }
        canvas.soft((left + key.indent(), y), &key.text, HPos::Left);
    }
}
