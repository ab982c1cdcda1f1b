//! `--log`, `--access`, `--follow` and `--reset-logs`; they work for stopped instances too.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::unknown;
use crate::instance::{Folder, logs};
use crate::scoreboard::Scoreboard;
use crate::server::config::recorded;
use crate::server::error::Error;

/// Time between a launch and its log line in the worker's buffer.
const MOMENT: Duration = Duration::from_millis(10);

/// Prints the log, or the access log, and with `follow` keeps printing.
pub fn print(folder: &Folder, access: bool, follow: bool) -> Result<(), Error> {
    let path = if access { access_log(folder)? } else { log(folder)? };
    wait_for_lines(folder);
    let mut out = io::stdout().lock();
    if follow { logs::follow(&path, &mut out) } else { logs::print(&path, &mut out) }.map_err(Error::from)
}

/// Empties the log, and the access log if there is one.
pub fn reset(folder: &Folder) -> Result<(), Error> {
    let (log, access) = (log(folder), access_log(folder));
    if log.is_ok() || access.is_err() {
        logs::reset(&log?)?;
    }
    access.map_or(Ok(()), |access| logs::reset(&access))?;
    super::print(&format!("emptied the log of {}\n", folder.name()))
}

/// The log, if the instance writes one.
fn log(folder: &Folder) -> Result<PathBuf, Error> {
    // An older file may be left from a run that wrote one.
    let to = recorded(&folder.config()).ok().and_then(|options| options.log_to);
    if to.is_some_and(|to| !to.has_file()) {
        return Err(Error::Failed(format!(
            "instance {} logs to standard error only (log-to): ask what runs it, such as `journalctl` or `docker logs`",
            folder.name()
        )));
    }
    Some(folder.log()).filter(|path| path.exists()).ok_or_else(|| unknown(folder, "has no log"))
}

fn access_log(folder: &Folder) -> Result<PathBuf, Error> {
    let named = recorded(&folder.config()).ok().and_then(|options| options.access_log_file);
    let path = named.unwrap_or_else(|| folder.access_log());
    Some(path).filter(|path| path.exists()).ok_or_else(|| {
        if !folder.dir().exists() {
            return unknown(folder, "does not exist");
        }
        let name = folder.name();
        Error::Failed(format!(
            "instance {name} has no access log; start it with `--access-log combined`, or json"
        ))
    })
}

/// Workers and the keeper buffer lines for a moment: waits for the line of a request that was just made.
fn wait_for_lines(folder: &Folder) {
    if !matches!(folder.process(), Ok(Some(_))) {
        return;
    }
    let Ok(board) = Scoreboard::open(&folder.scoreboard()) else { return };
    // A client may have its response before the worker has logged the launch.
    std::thread::sleep(MOMENT);
    board.await_lines();
}
