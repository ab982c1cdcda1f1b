//! The configuration file: one regular file, read anew for every look at the settings, with errors that say where. What the
//! options mean is not known here.
//!
//! A pipe would be empty at the second look, and an empty configuration is a sound one: its settings would be lost without
//! a word. A FIFO would stop the supervisor at a reload until somebody wrote to it.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use crate::server::cli::Options;
use crate::server::error::Error;
use crate::sys::fs::open_regular;

/// Reads a configuration file. Relative paths in it count from its own directory, and `~/` is the home. `flags` of open(2)
/// are added.
///
/// # Errors
/// It cannot be read, or not again; or it is no good: then the message names file, line and key.
pub fn read(path: &Path, flags: i32) -> Result<Options, Error> {
    let text = open_regular(OpenOptions::new().read(true), path, flags)
        .and_then(io::read_to_string)
        .map_err(|error| unreadable(path, &error))?;
    let mut options: Options =
        toml::from_str(&text).map_err(|error| Error::Usage(explain(path, &text, &error)))?;
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

/// `FILE:LINE: key: what is wrong`, in one line.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let number = text[..start].matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = line.split_once('=').map(|(key, _)| format!("{}: ", key.trim())).unwrap_or_default();
    let message = error.message().replace("unknown field", "unknown key").replace('\n', ", ");
    format!("{}:{number}: {key}{message}", path.display())
}
