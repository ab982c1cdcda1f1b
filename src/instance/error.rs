//! Errors about an instance: each message names the object and a way out.

use std::io;
use std::path::{Path, PathBuf};

use super::Name;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "instance {name} is already running{}; stop it with `caffeine -n {name} --stop` or choose another --name",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Held {
        name: Name,
        /// Its supervisor's pid, if known.
        pid: Option<u32>,
    },
    /// A file or directory could not be used.
    #[error("cannot {doing} {path}: {source}{}", .way_out.map(|text| format!("; {text}")).unwrap_or_default())]
    File {
        /// The action: `read the log`.
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
        /// Advice for the user.
        way_out: Option<&'static str>,
    },
    /// The request was refused; the text says why.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// For `map_err`: wraps an error with the action and the file.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { doing, path, source, way_out: None }
    }

    /// Adds advice for the user.
    pub(super) fn or(mut self, advice: &'static str) -> Self {
        if let Self::File { way_out, .. } = &mut self {
            *way_out = Some(advice);
        }
        self
    }
}
