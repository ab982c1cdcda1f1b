//! The directories of instances and handlers, with their defaults.

use std::path::PathBuf;

use super::options::Options;
use crate::instance::registry;
use crate::server::error::Error;

/// The state directory, as given or the default.
///
/// # Errors
/// HOME, which the default needs, is not set.
pub fn state_dir(options: &Options) -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    options.state_dir.clone().or_else(|| registry::default_state_dir(variable)).ok_or_else(|| {
        Error::Usage("HOME is not set; give the directory of instances with --state-dir".into())
    })
}

/// `~/.config/caffeine`, the default directory of handlers.
fn default_handlers_dir() -> Result<PathBuf, Error> {
    std::env::home_dir()
        .filter(|home| home.is_absolute())
        .map(|home| home.join(".config/caffeine"))
        .ok_or_else(|| Error::Usage("HOME is not set; give the directory of handlers with --path".into()))
}

/// The directory of handlers, as given or the default. Only the default may be missing; it is created when needed.
///
/// # Errors
/// The given path is not a directory, or there is no default.
pub fn handlers_dir(given: Option<PathBuf>) -> Result<PathBuf, Error> {
    let Some(path) = given else { return utf8(default_handlers_dir()?) };
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => utf8(path),
        Ok(_) => Err(Error::Failed(format!("--path {} is not a directory", path.display()))),
        Err(error) => Err(Error::Failed(format!(
            "--path {}: {error}; create it, or omit --path to use ~/.config/caffeine",
            path.display()
        ))),
    }
}

pub(super) fn utf8(path: PathBuf) -> Result<PathBuf, Error> {
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(Error::Usage(format!("the path {} is not valid UTF-8", path.display()))),
    }
}
