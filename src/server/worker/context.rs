//! What the supervisor gives to a process that it forks.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::cgi::stderr::Pipes;
use crate::listener::{Seat, Siblings, Strategy};
use crate::scoreboard::Scoreboard;
use crate::server::config::Settings;

#[derive(Debug)]
pub struct WorkerContext<'a> {
    /// Row in the scoreboard.
    pub slot: usize,
    /// Number in the generation.
    pub number: usize,
    pub generation: u64,
    /// How often the process was started before.
    pub starts: u64,
    /// Settings of the generation, with the bound port.
    pub settings: &'a Settings,
    pub board: &'static Scoreboard,
    pub strategy: &'a dyn Strategy,
    /// Rows of the generation's workers, by number.
    pub slots: Vec<usize>,
    /// All listening sockets.
    pub sockets: Vec<OwnedFd>,
    /// Where large bodies are stored.
    pub spool_directory: PathBuf,
    /// Tells the supervisor in which deployed trees handlers were started.
    pub leases: OwnedFd,
    /// `RLIMIT_NOFILE` for handlers, where it differs from the worker's.
    pub nofile: Option<(u64, u64)>,
    /// Standard error of its handlers.
    pub stderr: Pipes,
    /// Test whether a handler can be started before accepting: the generation is not ready yet.
    pub rehearses: bool,
    /// Leave connections in the queue at a stop: the socket is a service manager's.
    pub leaves_queue: bool,
    /// If the settings need a keeper: the sockets to report to it, and to take local redirects from it.
    pub keeper: Option<(OwnedFd, OwnedFd)>,
}

impl WorkerContext<'_> {
    /// The part that the strategy sees.
    pub(super) fn seat(&self) -> Seat<'_> {
        Seat {
            worker: self.number,
            workers: self.settings.workers,
            sockets: &self.sockets,
            terms: self.settings.terms(),
            siblings: Siblings::new(self.board, self.generation, self.slots.clone()),
        }
    }
}
