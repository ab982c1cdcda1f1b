//! `--reload`: starts a new generation of workers and waits for it.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{print, process};
use crate::instance::Folder;
use crate::scoreboard::{Scoreboard, State};
use crate::server::error::Error;
use crate::sys::fs::open_regular;
use crate::sys::proctable::is_suspended;

/// Longest wait; workers normally start within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest reason that is read.
const MOST_BYTES: u64 = 4096;

/// Sends SIGHUP and waits until all workers of a new generation accept.
pub fn reload(folder: &Folder) -> Result<(), Error> {
    let (pid, process) = process(folder)?;
    let name = folder.name();
    let failed = |why: String| Error::Failed(format!("instance {name} (pid {pid}) {why}"));
    if is_suspended(pid) {
        return Err(failed(format!("is suspended; `kill -CONT {pid}` resumes it")));
    }
    let (before, refused_before) = (generation(folder), refused(folder));
    process.signal(Signal::SIGHUP).map_err(|error| failed(format!("cannot be signalled ({error})")))?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if refused(folder) > refused_before {
            let reason = reason(folder).unwrap_or_else(|_| see_log(folder));
            return Err(failed(format!("keeps its old configuration: {reason}")));
        }
        // Read after the refusals: a refusal can be followed by a generation with the old configuration.
        if let Some((generation, workers)) = serving(folder).filter(|now| now.0 > before) {
            return print(&format!("reloaded {name}: generation {generation}, {workers} workers\n"));
        }
        if process.wait(20).unwrap_or(false) {
            return Err(failed(format!("ended instead of reloading: {}", see_log(folder))));
        }
    }
    Err(failed(format!(
        "started no new workers within {} s and keeps the old ones: {}",
        PATIENCE.as_secs(),
        see_log(folder)
    )))
}

fn see_log(folder: &Folder) -> String {
    format!("see `caffeine -n {} --log`", folder.name())
}

/// Why the last reload failed; the supervisor writes this before it counts the failure.
fn reason(folder: &Folder) -> io::Result<String> {
    let file = open_regular(OpenOptions::new().read(true), &folder.refusal(), libc::O_NOFOLLOW)?;
    let text = io::read_to_string(file.take(MOST_BYTES))?;
    Ok(text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

fn generation(folder: &Folder) -> u64 {
    Scoreboard::open(&folder.scoreboard()).map_or(0, |board| board.header().generation.load(Relaxed))
}

fn refused(folder: &Folder) -> u64 {
    Scoreboard::open(&folder.scoreboard()).map_or(0, |board| board.header().refused.load(Relaxed))
}

/// The serving generation and its workers, once all of them accept.
fn serving(folder: &Folder) -> Option<(u64, u64)> {
    let board = Scoreboard::open(&folder.scoreboard()).ok()?;
    let running = board.snapshot().iter().filter(|row| row.state == State::Running as u64).count() as u64;
    let header = board.header();
    let workers = header.workers.load(Relaxed);
    (running >= workers).then(|| (header.generation.load(Relaxed), workers))
}
