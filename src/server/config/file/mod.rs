//! The configuration file: a regular file, read again whenever settings are needed. It does not know what the options
//! mean: each value is converted to text and parsed like the command line.
//!
//! A pipe would be empty the second time, and an empty configuration is valid, so its settings would be lost silently.
//! A FIFO would block a reload until a writer opens it.

mod complaint;
mod mounts;
mod source;
mod variables;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use toml::de::DeTable;

use complaint::ENV;
use source::Source;

use crate::listener::address::Bind;
use crate::server::config::layers::Uses;
use crate::server::config::options::Options;
use crate::server::error::Error;
use crate::sys::fs::open_regular;

/// Reads the settings in `uses` from a configuration file. Relative paths count from the file's directory, and `~/` is
/// the home. `flags` are added to those of open(2).
///
/// # Errors
/// The file cannot be read or is not a regular file, or a setting is invalid: then the message names file, line and
/// key. Unused settings are not checked, as long as the file is valid TOML.
pub fn read(path: &Path, flags: i32, uses: Uses) -> Result<Options, Error> {
    let text = open_regular(OpenOptions::new().read(true), path, flags)
        .and_then(io::read_to_string)
        .map_err(|error| unreadable(path, &error))?;
    let source = Source { path, text: &text };
    let table = DeTable::parse(&text)
        .map_err(|error| source.error(error.span(), &complaint::syntax(&text, &error)))?;
    let mut options = source.settings(table.get_ref(), uses)?;
    if let (true, Some((key, value))) = (uses.includes(ENV), table.get_ref().get_key_value(ENV)) {
        options.env = variables::read(&source, "[env]", key.span(), value, &BTreeMap::new())?;
    }
    if uses.includes(mounts::MOUNT) {
        (options.mount, options.files) = mounts::read(&source, table.get_ref(), &options.env)?;
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    let Options { path, state_dir, access_log_file, bind, .. } = &mut options;
    let socket = match bind {
        Some(Bind::Unix(path)) => Some(path),
        _ => None,
    };
    for path in [path.as_mut(), state_dir.as_mut(), access_log_file.as_mut(), socket].into_iter().flatten() {
        *path = match (path.strip_prefix("~"), std::env::home_dir()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => base.join(&path),
        };
    }
    Ok(options)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let text = format!("cannot read the configuration {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::InvalidInput => Error::Usage(format!(
            "{text}; put the settings into a regular file, because a pipe cannot be read twice"
        )),
        _ => Error::Failed(text),
    }
}
