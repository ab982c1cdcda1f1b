//! Named instances: where they live, who holds them, their logs, their handlers.

/// An instance's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);
