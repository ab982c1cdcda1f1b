//! `--log`, `--follow` and `--reset-logs`: also of an instance that has ended.

use std::io;

use super::unknown;
use crate::instance::{Folder, logs};
use crate::server::error::Error;

/// Prints the log, and goes on printing when asked to.
pub fn print(folder: &Folder, follow: bool) -> Result<(), Error> {
    known(folder)?;
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
