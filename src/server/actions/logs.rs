//! `--log`, `--follow` and `--reset-logs`; they work for stopped instances too.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::unknown;
use crate::instance::{Folder, logs};
use crate::scoreboard::Scoreboard;
use crate::server::error::Error;

/// Time between a launch and its log line in the worker's buffer.
const MOMENT: Duration = Duration::from_millis(10);
/// Bound, because a stopped worker never writes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints the log, and with `follow` keeps printing.
pub fn print(folder: &Folder, follow: bool) -> Result<(), Error> {
    known(folder)?;
    wait_for_lines(folder);
    let mut out = io::stdout().lock();
    if follow { logs::follow(folder, &mut out) } else { logs::print(folder, &mut out) }.map_err(Error::from)
}

pub fn reset(folder: &Folder) -> Result<(), Error> {
    known(folder)?;
    logs::reset(folder)?;
    super::print(&format!("emptied the log of {}\n", folder.name()))
}

fn known(folder: &Folder) -> Result<(), Error> {
    if folder.log().exists() { Ok(()) } else { Err(unknown(folder, "has no log")) }
}

/// Workers buffer lines for a moment. To show the line of a request that was just made, wait for the lines that are
/// buffered now, not for later ones.
fn wait_for_lines(folder: &Folder) {
    if !matches!(folder.process(), Ok(Some(_))) {
        return;
    }
    let Ok(board) = Scoreboard::open(&folder.scoreboard()) else { return };
    // A client may have its response before the worker has logged the launch.
    std::thread::sleep(MOMENT);
    let mut waiting: Vec<_> = board.used().collect();
    let end = Instant::now() + PATIENCE;
    loop {
        waiting.retain(|row| row.unwritten.load(Relaxed) != 0);
        if waiting.is_empty() || Instant::now() >= end {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
