//! A worker's side of the keeper: reports each launch in one message without ever blocking, and passes on the client and the
//! handler's output if the keeper relays the response. A message that does not fit into the socket is kept and sent later, in
//! order. If the worker dies first, the keeper finds the handler in the process table. Local redirects come back.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Mutex, PoisonError};

use crate::scoreboard::Row;
use crate::server::keeper::note::Launch;
use crate::sys::fdpass;

#[derive(Debug)]
pub struct HandlerWatch {
    keeper: OwnedFd,
    /// Where local redirects arrive, for all workers.
    pub redirects: OwnedFd,
    /// Whether the keeper records how handlers end.
    pub outcomes: bool,
    unsent: Mutex<Unsent>,
}

#[derive(Debug, Default)]
struct Unsent {
    /// Launches with what is attached to them.
    waiting: VecDeque<(Vec<OwnedFd>, Launch)>,
    /// Room for a message.
    bytes: Vec<u8>,
}

impl HandlerWatch {
    /// Reports through `keeper`, the workers' end of the keeper's socket.
    pub fn new((keeper, redirects): (OwnedFd, OwnedFd), outcomes: bool) -> Self {
        Self { keeper, redirects, outcomes, unsent: Mutex::default() }
    }

    /// Reports a launch; `row` is the worker's. `client` and `owned` are attached in this order. Returns whether
    /// [`retry`](Self::retry) must be called later.
    ///
    /// # Errors
    /// `EMFILE`: the client cannot be kept until then. The launch is reported all the same, without its response.
    pub fn report(
        &self,
        row: &Row,
        client: Option<BorrowedFd<'_>>,
        owned: Vec<OwnedFd>,
        mut launch: Launch,
    ) -> io::Result<bool> {
        let mut unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        let Unsent { waiting, bytes } = &mut *unsent;
        let attached: Vec<_> = client.into_iter().chain(owned.iter().map(AsFd::as_fd)).collect();
        if waiting.is_empty() && self.send_one(row, &attached, &mut launch, bytes) {
            return Ok(false);
        }
        let client = client.map(|client| client.try_clone_to_owned()).transpose();
        let failed = match client {
            Ok(client) => {
                waiting.push_back((client.into_iter().chain(owned).collect(), launch));
                None
            }
            Err(error) => {
                launch.relayed = None;
                // Behind the output; the pidfd stays, if there is one.
                waiting.push_back((owned.into_iter().skip(1).collect(), launch));
                Some(error)
            }
        };
        let more = self.send(row, &mut unsent);
        failed.map_or(Ok(more), Err)
    }

    /// Sends the kept messages. Returns whether some are left.
    pub fn retry(&self, row: &Row) -> bool {
        self.send(row, &mut self.unsent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&self, row: &Row, Unsent { waiting, bytes }: &mut Unsent) -> bool {
        while let Some((attached, launch)) = waiting.front_mut() {
            let fds: Vec<_> = attached.iter().map(AsFd::as_fd).collect();
            if !self.send_one(row, &fds, launch, bytes) {
                return true;
            }
            waiting.pop_front();
        }
        false
    }

    /// Returns whether the message was sent. If not, the socket is full, or too many descriptors are in flight; both pass.
    ///
    /// Message numbers increase by one. Both threads of a worker launch handlers, so the lock covers numbering and sending.
    fn send_one(&self, row: &Row, fds: &[BorrowedFd<'_>], launch: &mut Launch, bytes: &mut Vec<u8>) -> bool {
        launch.ordinal = row.sent.load(SeqCst) + 1;
        launch.encode(bytes);
        let sent = fdpass::send_some(self.keeper.as_fd(), fds, bytes).is_ok();
        if sent {
            row.sent.store(launch.ordinal, SeqCst);
        }
        sent
    }

    /// Receives a local redirect: the length of its message, and the client.
    ///
    /// # Errors
    /// `WouldBlock` without one; those of `recvmsg(2)`.
    pub fn redirect(&self, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
        fdpass::receive_one(self.redirects.as_fd(), bytes, false)
    }
}
