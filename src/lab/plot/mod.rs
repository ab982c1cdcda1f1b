//! Figures: numbers that are ready to be drawn become SVG, in one look. A figure never computes a result.
//!
//! ```text
//! layout, axis      where things go                                     pure
//! canvas, look      the surface; how a strategy looks everywhere
//! keys, lines, dots what figures share: keys, lines over axes, dots in rows
//! the others        one figure each
//! ```

mod axis;
mod canvas;
#[cfg(test)]
mod clash;
pub mod costs;
mod dots;
pub mod ecdf;
pub mod endurance;
pub mod forest;
pub mod heat;
pub mod hockey;
pub mod keys;
mod layout;
pub mod ledger;
pub mod lines;
pub mod look;
pub mod percentiles;
pub mod recovery;
pub mod shares;
pub mod timeline;

pub use canvas::Figure;
pub use look::{Look, look};

/// Width in px of a figure on a desk, and in the files.
pub const WIDE: i32 = 760;
/// Width in px of a figure on a phone.
pub const NARROW: i32 = 370;
/// Up to this many strategies share one panel; beyond, each has its own.
const TOGETHER: usize = 6;
