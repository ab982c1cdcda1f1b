//! A generation: the processes that were started together with the same settings.

use std::rc::Rc;

use crate::listener::{SocketCount, Strategy};
use crate::server::config::Settings;

/// Each member holds a reference, so a generation lives as long as its last member, even if it was abandoned or only a
/// stopped worker is left.
#[derive(Debug)]
pub(super) struct Generation {
    /// Unique in the life of the instance, and increasing.
    pub number: u64,
    pub settings: Rc<Settings>,
    pub strategy: Box<dyn Strategy>,
    /// Rows of its workers in the scoreboard, by worker number.
    pub slots: Vec<usize>,
}

impl Generation {
    /// Whether each socket is served by one worker only, so that a socket without its worker is not served.
    pub fn divides_sockets(&self) -> bool {
        self.settings.listener.sockets() == SocketCount::PerWorker
    }
}
