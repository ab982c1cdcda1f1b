//! What can go wrong, told apart by exit code only: the text says the rest.

use std::path::Path;

/// An error with a message for people: object, reason, way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command or the experiment is wrong: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It could not be done: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// No conclusion could be judged, and none is contradicted: exit code 3.
    #[error("{0}")]
    NotJudged(String),
    /// The user stopped it: exit code 130.
    #[error("{0}")]
    Interrupted(String),
}

impl Error {
    /// A failure to do something to a file: `cannot write results/x: Permission denied`.
    pub fn file(doing: &str, path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Failed(format!("cannot {doing} {}: {why}", path.display()))
    }

    /// What is wrong with a file: `results/x is not a results folder`.
    pub fn about(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{} {what}", path.display()))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::NotJudged(_) => 3,
            Self::Interrupted(_) => 130,
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::file("write", path, e))
}

pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::file("read", path, e))
}
