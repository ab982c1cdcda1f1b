//! `--stop`: stops an instance gracefully and waits for its end.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{print, process};
use crate::instance::{Folder, Life};
use crate::scoreboard::Scoreboard;
use crate::server::config::{DEFAULT_GRACE, recorded};
use crate::server::error::Error;
use crate::sys::pidfd::Pidfd;

/// Extra time beyond the grace period.
const MARGIN: Duration = Duration::from_secs(5);

/// Sends SIGTERM and waits until the instance has ended. If it is stopping already, only waits: a second signal would
/// cut its grace period short.
pub fn stop(folder: &Folder) -> Result<(), Error> {
    let (pid, process) = process(folder)?;
    let life = folder.life()?;
    if !is_stopping(folder) {
        signal(&process, Signal::SIGTERM).map_err(|error| {
            Error::Failed(format!("cannot stop instance {} (pid {pid}): {error}", folder.name()))
        })?;
    }
    // A suspended process acts on signals only after SIGCONT.
    let _ = signal(&process, Signal::SIGCONT);
    let grace = recorded(&folder.config()).ok().and_then(|options| options.grace).unwrap_or(DEFAULT_GRACE);
    let end = Instant::now() + grace + MARGIN;
    while Instant::now() < end {
        let ended = process.wait(100).unwrap_or(false);
        // A container's init may leave a zombie behind: then the lock is the proof. The number is erased before the lock ends.
        if ended || !matches!(folder.life()?, now if now == life || now == Life::Starting) {
            return print(&format!("stopped {}\n", folder.name()));
        }
    }
    let seconds = (grace + MARGIN).as_secs();
    Err(Error::Failed(format!(
        "instance {} (pid {pid}) is still stopping after {seconds} s; wait with --stop again, or end it with `kill -QUIT \
         {pid}`, or with `kill -KILL {pid}` if a debugger or freezer holds it",
        folder.name()
    )))
}

/// Sends a signal; ignores a process that has ended.
fn signal(process: &Pidfd, signal: Signal) -> std::io::Result<()> {
    match process.signal(signal) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

fn is_stopping(folder: &Folder) -> bool {
    Scoreboard::open(&folder.scoreboard()).is_ok_and(|board| board.header().closing.load(Relaxed) == 1)
}
