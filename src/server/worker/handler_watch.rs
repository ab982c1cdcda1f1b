//! A worker's side of the keeper: reports each launch in one message without ever blocking. A message that does not fit into
//! the socket is kept and sent later, in order. If the worker dies first, the keeper finds the handler in the process table.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, PoisonError};

use crate::scoreboard::Row;
use crate::server::keeper::note::{self, Launch};
use crate::sys::fdpass;

#[derive(Debug)]
pub struct HandlerWatch {
    keeper: OwnedFd,
    /// Whether the keeper records how handlers end.
    pub outcomes: bool,
    unsent: Mutex<VecDeque<Unsent>>,
}

/// A launch, with its pidfd if the kernel returned one.
type Unsent = (Option<OwnedFd>, Launch);

impl HandlerWatch {
    /// Reports through `keeper`, the workers' end of the keeper's socket.
    pub fn new(keeper: OwnedFd, outcomes: bool) -> Self {
        Self { keeper, outcomes, unsent: Mutex::default() }
    }

    /// Reports a launch; `row` is the worker's. Returns whether [`retry`](Self::retry) must be called later.
    pub fn report(&self, row: &Row, pidfd: Option<OwnedFd>, launch: Launch) -> bool {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.push_back((pidfd, launch));
        self.send(row, &mut unsent)
    }

    /// Sends the kept messages. Returns whether some are left.
    pub fn retry(&self, row: &Row) -> bool {
        self.send(row, &mut self.unsent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Message numbers increase by one. Both threads of a worker launch handlers, so the lock covers numbering and sending.
    fn send(&self, row: &Row, unsent: &mut VecDeque<Unsent>) -> bool {
        let mut bytes = [0; note::BYTES];
        while let Some((pidfd, mut launch)) = unsent.pop_front() {
            launch.ordinal = row.sent.load(SeqCst) + 1;
            let length = launch.encode(&mut bytes);
            let attached = pidfd.as_ref().map(AsFd::as_fd);
            if fdpass::send_one(self.keeper.as_fd(), attached, &bytes[..length]).is_err() {
                // The socket is full, or too many descriptors are in flight. Both pass.
                unsent.push_front((pidfd, launch));
                return true;
            }
            row.sent.store(launch.ordinal, SeqCst);
        }
        false
    }
}
