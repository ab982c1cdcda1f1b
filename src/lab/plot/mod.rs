//! Figures: values become SVG, in one style. A figure computes no results.
//!
//! ```text
//! layout, axis      where things go                                     pure
//! style, canvas     the style of a strategy; the drawing surface
//! keys, lines, dots parts that figures share: keys, charts of lines, rows of dots
//! the others        one figure each
//! ```

mod axis;
mod canvas;
#[cfg(test)]
mod clash;
pub mod dots;
pub mod ecdf;
pub mod endurance;
pub mod heat;
mod keys;
mod layout;
pub mod ledger;
mod lines;
pub mod percentiles;
pub mod recovery;
pub mod shares;
mod style;
pub mod throughput_latency;
pub mod timeline;

pub use canvas::{Caption, Figure};
pub use style::{Style, style};

/// Width in px of a figure on a desktop, and in the files.
pub const WIDE: i32 = 760;
/// Width in px of a figure on a phone.
pub const NARROW: i32 = 370;
/// Up to this many strategies share one panel; beyond, each has its own.
const TOGETHER: usize = 6;
