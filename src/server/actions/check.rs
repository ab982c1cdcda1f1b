//! `--check-config`: what a start or a reload would make of the settings, without doing it.

use super::print;
use crate::server::config::Sources;
use crate::server::error::Error;
use crate::server::privileges::Identity;

/// Reads the settings as a start would, and says in a line what they come to.
pub fn check(sources: &Sources) -> Result<(), Error> {
    let settings = sources.resolve()?;
    Identity::of(&settings)?;
    print(&format!(
        "the settings are sound: {} on {}, {} workers, {}\n",
        settings.name,
        settings.address(),
        settings.workers,
        settings.listener
    ))
}
