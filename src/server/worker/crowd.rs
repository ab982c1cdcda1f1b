//! What a worker does when as many handlers run as may: refuse, or try again for a moment ([`places`](super::places)).

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::connection::Connection;
use super::held::Held;
use super::places::Waiting;
use super::service::{After, Asked, Service};
use crate::http::refusal::Refusal;
use crate::http::request::{self, Head};
use crate::scoreboard::subtract;

/// As many handlers run as may.
const CROWDED: Refusal = Refusal::new(503, "too many handlers are running");

/// What came of another try of a request that waits for a place.
#[derive(Debug)]
pub enum Again {
    /// It waits on.
    Waits(Waiting),
    /// It was answered.
    Over,
    /// It was refused, because its time was over.
    InVain,
}

impl Service {
    /// Counts a launch, unless as many handlers run as may. Looks first: a refusal must not keep a place from another worker.
    /// Then adds, and looks again: of two workers that add at the same time at least one sees both.
    pub(super) fn reserve(&self) -> bool {
        let (begun, board) = (&self.shared.row().begun, self.shared.board);
        let limit = self.shared.settings.max_handlers.unwrap_or(u64::MAX);
        if board.handlers() >= limit {
            return false;
        }
        begun.fetch_add(1, SeqCst);
        if board.handlers() <= limit {
            return true;
        }
        subtract(begun, 1);
        false
    }

    /// As many handlers run as may. A path that leads to none is told so all the same.
    pub(super) fn at_the_limit(
        &mut self,
        limit: u64,
        connection: &Connection,
        head: &Head<'_, '_>,
        body: Option<OwnedFd>,
        length: Option<u64>,
    ) -> After {
        if let Err(refusal) = self.launcher.find(head.path) {
            return self.refuse(connection, Asked::Request(head), &refusal, &"");
        }
        if self.room.may_wait(limit)
            && let Ok(stream) = connection.stream.try_clone()
        {
            let connection = Connection { stream, ..*connection };
            self.room.wait_for_place(Waiting::new(connection, head.bytes, body, length));
            return After::Close;
        }
        self.refuse(connection, Asked::Request(head), &CROWDED, &"")
    }

    /// Tries a request again that waits for a place, and answers it when there is one, or when its time is over.
    pub fn try_again(&mut self, mut request: Waiting) -> Again {
        let mut slots = request::slots();
        let bytes = std::mem::take(&mut request.head);
        let Ok(Some(head)) = request::parse(&bytes, &mut slots, &self.shared.limits) else {
            return Again::Over; // it was parsed before
        };
        if self.reserve() {
            let (body, length) = (request.body.take(), request.length);
            let after = self.launch_reserved(&request.connection, &head, body, length);
            self.settle(request.connection, after);
            return Again::Over;
        }
        if request.waits_on() {
            request.head = bytes;
            return Again::Waits(request);
        }
        let after = self.refuse(&request.connection, Asked::Request(&head), &CROWDED, &"");
        self.settle(request.connection, after);
        Again::InVain
    }

    /// A connection that waited for a place has been answered.
    fn settle(&self, connection: Connection, after: After) {
        if after == After::Close {
            return;
        }
        let mut held = Held::after(connection, after, self.shared);
        if self.room.find_place(&mut held.connection) {
            self.shared.row().open.fetch_add(1, Relaxed);
            self.room.admit(held);
        } else {
            held.drain();
        }
    }
}
