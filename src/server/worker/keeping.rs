//! A worker's side of the keeper: reports each launch in one message, and never waits for it. What cannot be sent now is kept
//! and sent later, in order; what a worker could not send before its end the keeper finds in the process table.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, PoisonError};

use crate::scoreboard::Row;
use crate::server::keeper::note::{self, Launch};
use crate::sys::fdpass;

/// What reports launches.
#[derive(Debug)]
pub struct Keeping {
    entrance: OwnedFd,
    /// Whether the ends of handlers are recorded.
    pub outcomes: bool,
    unsent: Mutex<VecDeque<Unsent>>,
}

/// A launch, with its pidfd where the kernel gave one.
type Unsent = (Option<OwnedFd>, Launch);

impl Keeping {
    /// Reports through this end of the keeper's socket.
    pub fn new(entrance: OwnedFd, outcomes: bool) -> Self {
        Self { entrance, outcomes, unsent: Mutex::default() }
    }

    /// Reports a launch of the worker whose row this is. Whether it has to be tried again ([`retry`](Self::retry)).
    pub fn report(&self, row: &Row, pidfd: Option<OwnedFd>, launch: Launch) -> bool {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.push_back((pidfd, launch));
        self.send(row, &mut unsent)
    }

    /// Tries again what could not be sent. Whether something is left.
    pub fn retry(&self, row: &Row) -> bool {
        self.send(row, &mut self.unsent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The messages' numbers rise one by one: both threads of a worker launch, so they are given under the lock.
    fn send(&self, row: &Row, unsent: &mut VecDeque<Unsent>) -> bool {
        let mut bytes = [0; note::BYTES];
        while let Some((pidfd, mut launch)) = unsent.pop_front() {
            launch.ordinal = row.sent.load(SeqCst) + 1;
            let length = launch.encode(&mut bytes);
            let beside = pidfd.as_ref().map(AsFd::as_fd);
            if fdpass::send_one(self.entrance.as_fd(), beside, &bytes[..length]).is_err() {
                // The socket is full, or too many descriptors are in flight: both pass.
                unsent.push_front((pidfd, launch));
                return true;
            }
            row.sent.store(launch.ordinal, SeqCst);
        }
        false
    }
}
