//! What can go wrong with an instance: each message names the object and the way out.

use std::io;
use std::path::{Path, PathBuf};

use super::Name;

/// Why something about an instance did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken by a running instance.
    #[error(
        "instance {name} is already running{}; stop it with `caffeine -n {name} --stop` or choose another --name",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Held {
        /// The instance.
        name: Name,
        /// Its supervisor, when it has already said so.
        pid: Option<u32>,
    },
    /// A file or directory could not be used.
    #[error("cannot {doing} {path}: {source}{}", .way_out.map(|text| format!("; {text}")).unwrap_or_default())]
    File {
        /// What was being done: `read the log`.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
        /// What the user can do about it.
        way_out: Option<&'static str>,
    },
    /// What was asked for is refused; the text says why.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// For `map_err`: what was being done to which file.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { doing, path, source, way_out: None }
    }

    /// Adds what the user can do about it.
    pub(super) fn or(mut self, advice: &'static str) -> Self {
        if let Self::File { way_out, .. } = &mut self {
            *way_out = Some(advice);
        }
        self
    }
}
