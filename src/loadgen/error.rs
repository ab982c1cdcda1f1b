//! Errors that end the program, with their exit codes.

/// One line that names the object and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Exit code 2: the request makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Exit code 1: it could not be carried out.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}
