//! What the program says on a terminal: times for people, and output that a reader may leave early.

use std::fmt::Display;
use std::io::{self, IsTerminal as _};

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

/// Columns of the terminal on standard output; `None` if it is not a terminal.
pub fn width() -> Option<usize> {
    let out = io::stdout();
    let size = out.is_terminal().then(|| terminal_size::terminal_size_of(&out)).flatten();
    size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
}

/// Whether standard output is a terminal that shows colours, and colours are wanted (`NO_COLOR`).
pub fn is_coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdout().is_terminal() && !unwanted && !dumb
}
