//! What a row of the scoreboard says of its process.

/// The kind of process in a slot ([`Row::role`](super::Row::role)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Worker = 0,
    /// A process that serves a strategy beside the workers; it counts the connections that it accepts and passes on.
    Auxiliary = 1,
    /// The process that watches handlers: one per instance.
    Keeper = 2,
}

/// The state of a worker ([`Row::state`](super::Row::state)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No process has this slot.
    Empty = 0,
    /// Forked, not yet accepting.
    Starting = 1,
    /// Accepting.
    Running = 2,
    /// No longer accepting; finishes its connections.
    Stopping = 3,
}

impl State {
    /// The name as `--status` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
        }
    }
}
