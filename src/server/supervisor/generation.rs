//! A generation: the processes that were started together with the same settings.

use std::rc::Rc;

use crate::listener::{SocketCount, Strategy};
use crate::server::config::Settings;

/// Workers that were started together. Each of its members holds it, so it lives as long as the last of them: also one that
/// was given up, or that has left but for a stopped worker.
#[derive(Debug)]
pub(super) struct Generation {
    /// Counts up over the life of the instance; no two generations have the same.
    pub number: u64,
    pub settings: Rc<Settings>,
    pub strategy: Box<dyn Strategy>,
    /// Rows of its workers in the scoreboard, by their numbers.
    pub slots: Vec<usize>,
}

impl Generation {
    /// Whether the instance's sockets are divided among its workers, so that one without a worker is not served.
    pub fn divides_sockets(&self) -> bool {
        self.settings.listener.sockets() == SocketCount::PerWorker
    }
}
