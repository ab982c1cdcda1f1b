//! Errors that end the program: the message for the user, and the exit code.

/// Exit code of a worker or keeper that cannot start.
pub const EXIT_FATAL: i32 = 70;

/// One line that names the object and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Usage error: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Failure: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<crate::instance::Error> for Error {
    fn from(error: crate::instance::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Error {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}
