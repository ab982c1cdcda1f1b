//! `--check-config`: checks the settings as a start or a reload would.

use super::print;
use crate::listener::address::Bind;
use crate::server::config::Sources;
use crate::server::error::Error;
use crate::server::privileges::Identity;

/// Reads the settings as a start would, and prints a summary.
pub fn check(sources: &Sources) -> Result<(), Error> {
    let settings = sources.resolve()?;
    Identity::of(&settings)?;
    if let Bind::Unix(path) = &settings.bind
        && path.parent().is_some_and(|directory| !directory.is_dir())
    {
        let path = path.display();
        return Err(Error::Failed(format!("the directory of unix:{path} does not exist; make it")));
    }
    print(&format!(
        "the settings are valid: {} on {}, {} workers, {}\n",
        settings.name,
        settings.address(),
        settings.workers,
        settings.listener
    ))
}
