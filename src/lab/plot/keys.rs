//! Keys: what colours, marks and patterns mean, in rows above a figure where lines are not labelled themselves.

use super::canvas::{Anchor, Canvas, INK, Pattern, SOFT, TICK};
use super::layout::{flow, text_width};
use super::look::{ALARM, Look};
use crate::lab::error::Result;

/// A sample and what it means.
#[derive(Clone, Debug)]
pub struct Key {
    /// What it means.
    pub text: String,
    /// What is shown.
    pub sample: Sample,
}

/// What a key shows.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Sample {
    Strategy(Look),
    Neutral(Pattern),
    Band,
    Ring,
    Alarm,
    /// The text says it all.
    Nothing,
}

const KEY_ROW: f64 = 20.0;
const SAMPLE: f64 = 26.0;

impl Key {
    fn indent(&self) -> f64 {
        if matches!(self.sample, Sample::Nothing) { 0.0 } else { SAMPLE }
    }
}

fn key_places(keys: &[Key], width: f64) -> Vec<(usize, f64)> {
    let widths: Vec<f64> = keys.iter().map(|key| key.indent() + text_width(&key.text, TICK)).collect();
    flow(&widths, 14.0, width)
}

/// Height in px of keys, with the space below them.
pub fn key_height(keys: &[Key], width: f64) -> f64 {
    key_places(keys, width).last().map_or(0.0, |(row, _)| (row + 1) as f64 * KEY_ROW + 6.0)
}

/// Draws keys in rows from `top` on.
pub fn keys(canvas: &Canvas, keys: &[Key], top: f64) -> Result<()> {
    for (key, (row, left)) in keys.iter().zip(key_places(keys, canvas.width)) {
        let y = top + row as f64 * KEY_ROW + 8.0;
        let line = [(left, y), (left + 20.0, y)];
        match key.sample {
            Sample::Strategy(look) => {
                canvas.line(&line, look.colour, 1.0, if look.hollow { 1.2 } else { 2.0 })?;
                canvas.mark((left + 10.0, y), 4.0, look)?;
            }
            Sample::Neutral(pattern) => canvas.pattern(&line, INK, 0.8, 2.0, pattern)?,
            Sample::Band => canvas.rectangle((left, y - 6.0), (left + 20.0, y + 6.0), INK, 0.15)?,
            Sample::Ring => canvas.ring((left + 10.0, y), 6.0, INK, 1.25)?,
            Sample::Nothing => {}
            Sample::Alarm => {
                canvas.line(&[(left + 10.0, y - 5.0), (left + 10.0, y + 5.0)], ALARM, 1.0, 1.5)?
            }
        }
        canvas.text((left + key.indent(), y), &key.text, TICK, SOFT, Anchor::Left)?;
    }
    Ok(())
}
