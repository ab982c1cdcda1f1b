//! Figures: values become SVG, in one style. A figure computes no results.
//!
//! ```text
//! layout, axis   where things go                                  pure
//! style, canvas  the style of a column; the drawing surface
//! keys           the meaning of colours and marks
//! curves, lines  a value over a number, as load, time or percentile: what is drawn, and its charts
//! dots           rows of values: changes, costs, shares of workers, claims, slopes
//! heat, ledger   workers over time; all runs
//! ```

mod axis;
mod canvas;
#[cfg(test)]
mod clash_tests;
mod curves;
mod dots;
mod heat;
mod keys;
mod layout;
mod ledger;
mod lines;
mod style;

pub use axis::{Axis, Dimension};
pub use canvas::{Caption, Figure};
pub use curves::{Curve, Curves, Part};
pub use dots::{Dot, Dots, Quantity, Scale};
pub use heat::{Heat, StrategyHeat};
pub use keys::{Key, Sample};
pub use ledger::Ledger;
pub use style::{Style, styles};

/// Width in px of a figure on a desktop, and in the files.
pub const WIDE: i32 = 760;
/// Width in px of a figure on a phone.
pub const NARROW: i32 = 370;
