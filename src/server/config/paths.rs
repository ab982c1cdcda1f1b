//! The directories of instances and handlers, with their defaults.

use std::path::PathBuf;

use super::options::Options;
use crate::instance::registry;
use crate::server::error::Error;

/// The state directory of the options, or the default one.
///
/// # Errors
/// The default one needs a home directory, which is not known.
pub fn state_dir(options: &Options) -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    options.state_dir.clone().or_else(|| registry::default_state_dir(variable)).ok_or_else(|| {
        Error::Usage("HOME is not set, so nothing says where instances live; give --state-dir".into())
    })
}

/// `~/.config/caffeine`, where the handlers are when nothing else was said.
fn default_handlers_dir() -> Result<PathBuf, Error> {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .map(|home| home.join(".config/caffeine"))
        .ok_or_else(|| {
            Error::Usage("HOME is not set, so nothing says where the handlers are; give --path".into())
        })
}

/// The directory of the handlers, as given or the default one. Only the latter may be missing: what needs it makes it.
///
/// # Errors
/// The one that was given is not a directory; the default one is unknown.
pub fn handlers_dir(given: Option<PathBuf>) -> Result<PathBuf, Error> {
    let Some(path) = given else { return utf8(default_handlers_dir()?) };
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => utf8(path),
        Ok(_) => {
            Err(Error::Failed(format!("the handlers' directory {} (path) is no directory", path.display())))
        }
        Err(error) => Err(Error::Failed(format!(
            "the handlers' directory {} (path): {error}; make it, or leave --path out for ~/.config/caffeine",
            path.display()
        ))),
    }
}

pub(super) fn utf8(path: PathBuf) -> Result<PathBuf, Error> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => {
            Err(Error::Usage(format!("the path {} is not UTF-8, which config.toml must be", path.display())))
        }
    }
}
