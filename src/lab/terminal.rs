//! What the program says on a terminal: times for people, and output that a reader may leave early.

use std::fmt::Display;

use super::error::{Error, Result};
use crate::sys::stdio;

/// A time: `58 s`, `12 min`, `16.2 h`.
pub fn minutes(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 100.0 => format!("{seconds:.0} s"),
        seconds if seconds < 6000.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Writes to standard output; a reader that has left is not an error.
pub fn print(text: &str) -> Result<()> {
    stdio::print(text).map_err(Error::Failed)
}

/// As [`print()`], and ends the line.
pub fn print_line(line: impl Display) -> Result<()> {
    print(&format!("{line}\n"))
}
