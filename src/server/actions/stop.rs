//! `--stop`: a graceful end, waited for.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::process;
use crate::instance::{Folder, Life};
use crate::scoreboard::Scoreboard;
use crate::server::config::{DEFAULT_GRACE, recorded};
use crate::server::error::Error;

/// How much longer than its grace an instance may take.
const MARGIN: Duration = Duration::from_secs(5);

/// Sends SIGTERM to the instance and waits until it is gone. One that is stopping already is only waited for: a
/// second signal would cut its grace short.
pub fn stop(folder: &Folder) -> Result<(), Error> {
    let (pid, process) = process(folder)?;
    if !is_stopping(folder) {
        match process.signal(Signal::SIGTERM) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                let name = folder.name();
                return Err(Error::Failed(format!("cannot stop instance {name} (pid {pid}): {error}")));
            }
            _ => {}
        }
    }
    let grace = recorded(&folder.config()).ok().and_then(|options| options.grace).unwrap_or(DEFAULT_GRACE);
    let end = Instant::now() + grace + MARGIN;
    while Instant::now() < end {
        let ended = process.wait(100).unwrap_or(false);
        // A container's init may leave a zombie behind, which is gone for us: the lock tells.
        if ended || folder.life()? != Life::Running(pid) {
            return Ok(());
        }
    }
    let seconds = (grace + MARGIN).as_secs();
    Err(Error::Failed(format!(
        "instance {} (pid {pid}) is still stopping after {seconds} s; wait with --stop again, or end it with `kill -QUIT {pid}`",
        folder.name()
    )))
}

fn is_stopping(folder: &Folder) -> bool {
    Scoreboard::open(&folder.scoreboard()).is_ok_and(|board| board.header().closing.load(Relaxed) == 1)
}
