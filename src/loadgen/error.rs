//! Why the program ends with an error: the message for the user, and the exit code.

/// One line that names the object and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It made sense and did not work: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// The exit code: 1 failed, 2 usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}
