//! `--reload`: a new generation of workers, waited for.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::process;
use crate::instance::Folder;
use crate::scoreboard::{Scoreboard, State};
use crate::server::error::Error;

/// Workers start within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends SIGHUP to the instance and waits until all workers of a new generation accept.
pub fn reload(folder: &Folder) -> Result<(), Error> {
    let (pid, process) = process(folder)?;
    let name = folder.name();
    let failed = |why: String| {
        Error::Failed(format!(
            "instance {name} (pid {pid}) {why}; its log tells why: `caffeine -n {name} --log`"
        ))
    };
    let (before, refused_before) = (generation(folder), refused(folder));
    process.signal(Signal::SIGHUP).map_err(|error| failed(format!("cannot be signalled ({error})")))?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if refused(folder) > refused_before {
            return Err(failed("refused the new configuration and goes on with the old one".into()));
        }
        // After the refusals: one can be followed by a generation that goes on with the old configuration.
        if generation(folder) > before && all_running(folder) {
            return Ok(());
        }
        if process.wait(20).unwrap_or(false) {
            return Err(failed("ended instead of reloading".into()));
        }
    }
    Err(failed(format!("has no new workers after {} s and goes on with the old ones", PATIENCE.as_secs())))
}

fn generation(folder: &Folder) -> u64 {
    Scoreboard::open(&folder.scoreboard()).map_or(0, |board| board.header().generation.load(Relaxed))
}

fn refused(folder: &Folder) -> u64 {
    Scoreboard::open(&folder.scoreboard()).map_or(0, |board| board.header().refused.load(Relaxed))
}

fn all_running(folder: &Folder) -> bool {
    let Ok(board) = Scoreboard::open(&folder.scoreboard()) else { return false };
    let running = board.snapshot().iter().filter(|row| row.state == State::Running as u64).count();
    running as u64 >= board.header().workers.load(Relaxed)
}
