//! The configuration file: one regular file, read anew for every look at the settings, with errors that say where. What the
//! options mean is not known here: a value becomes the text that the command line would have, and is read by its definitions.
//!
//! A pipe would be empty at the second look, and an empty configuration is a sound one: its settings would be lost without
//! a word. A FIFO would stop the supervisor at a reload until somebody wrote to it.

mod complaint;
mod source;
mod variables;

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use toml::de::DeTable;

use complaint::ENV;
use source::Source;

use crate::server::config::layers::Uses;
use crate::server::config::options::Options;
use crate::server::error::Error;
use crate::sys::fs::open_regular;

/// Reads of a configuration file what is used. Relative paths in it count from its own directory, and `~/` is the home. `flags`
/// of open(2) are added.
///
/// # Errors
/// It cannot be read, or not again; or it is no good: then the message names file, line and key. What is not used is not looked
/// at, as long as it is TOML.
pub fn read(path: &Path, flags: i32, uses: Uses) -> Result<Options, Error> {
    let text = open_regular(OpenOptions::new().read(true), path, flags)
        .and_then(io::read_to_string)
        .map_err(|error| unreadable(path, &error))?;
    let source = Source { path, text: &text };
    let table = DeTable::parse(&text)
        .map_err(|error| source.error(error.span(), &complaint::syntax(&text, &error)))?;
    let mut options = source.settings(table.get_ref(), uses)?;
    if let (true, Some((key, value))) = (uses.includes(ENV), table.get_ref().get_key_value(ENV)) {
        options.env = variables::read(&source, key.span(), value)?;
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    for path in [&mut options.path, &mut options.state_dir].into_iter().flatten() {
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
        io::ErrorKind::InvalidInput => {
            Error::Usage(format!("{text}, and a pipe cannot be read again; put the settings into a file"))
        }
        _ => Error::Failed(text),
    }
}
