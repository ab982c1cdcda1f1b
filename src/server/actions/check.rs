//! `--check-config`: checks the settings as a start or a reload would.

use super::print;
use crate::server::config::Sources;
use crate::server::error::Error;
use crate::server::privileges::Identity;

/// Reads the settings as a start would, and prints a summary.
pub fn check(sources: &Sources) -> Result<(), Error> {
    let settings = sources.resolve()?;
    Identity::of(&settings)?;
    print(&format!(
        "the settings are valid: {} on {}, {} workers, {}\n",
        settings.name,
        settings.address(),
        settings.workers,
        settings.listener
    ))
}
