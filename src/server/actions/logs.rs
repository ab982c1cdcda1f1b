//! `--log`, `--follow` and `--reset-logs`: also of an instance that has ended.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::unknown;
use crate::instance::{Folder, logs};
use crate::scoreboard::Scoreboard;
use crate::server::error::Error;

/// What a worker has between a launch and its line.
const MOMENT: Duration = Duration::from_millis(10);
/// A stopped worker writes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints the log, and goes on printing when asked to.
pub fn print(folder: &Folder, follow: bool) -> Result<(), Error> {
    known(folder)?;
    wait_for_lines(folder);
    let mut out = io::stdout().lock();
    if follow { logs::follow(folder, &mut out) } else { logs::print(folder, &mut out) }.map_err(Error::from)
}

/// Empties the log.
pub fn reset(folder: &Folder) -> Result<(), Error> {
    known(folder)?;
    logs::reset(folder)?;
    super::print(&format!("emptied the log of {}\n", folder.name()))
}

fn known(folder: &Folder) -> Result<(), Error> {
    if folder.log().exists() { Ok(()) } else { Err(unknown(folder, "has no log")) }
}

/// Workers keep lines back for a moment. Whoever asks for the log right after a request wants to see it: those that wait now are
/// waited for, not those that come meanwhile.
fn wait_for_lines(folder: &Folder) {
    if !matches!(folder.process(), Ok(Some(_))) {
        return;
    }
    let Ok(board) = Scoreboard::open(&folder.scoreboard()) else { return };
    // A client can have its response before the worker that started the handler has said so.
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
