//! `--max-handlers`: counts launches against the limit. At the limit a request is refused, or queued for a moment
//! ([`handler_queue`](super::handler_queue)).

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::connection::Connection;
use super::handler_queue::QueuedRequest;
use super::service::{After, Asked, Request, Service};
use crate::http::refusal::Refusal;
use crate::http::request;
use crate::scoreboard::subtract;

const BUSY: Refusal = Refusal::new(503, "too many handlers are running");

/// The outcome of another attempt to serve a queued request.
#[derive(Debug)]
pub enum Attempt {
    /// The limit still holds; try again.
    Retry(QueuedRequest),
    /// The request was answered.
    Answered(Connection, After),
    /// The request was refused, because it has waited long enough.
    Refused(Connection, After),
}

impl Service {
    /// Reserves a handler slot, unless the limit is reached. It checks before it adds, so that a refusal does not take a slot
    /// from another worker; and again afterwards: of two workers that add at the same time, at least one sees both.
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

    /// Queues or refuses a request at the limit. A path without a handler gets its 404 or 403 all the same.
    pub(super) fn at_the_limit(&mut self, limit: u64, request: Request<'_>) -> After {
        let Request { connection, head, .. } = request;
        if let Err(refusal) = self.launcher.find(head) {
            return self.refuse(connection, Asked::Request(head), &refusal, &"");
        }
        let shared = self.shared;
        if shared.queue.has_room(limit)
            && let Ok(stream) = connection.stream.try_clone()
        {
            let connection = Connection { stream, ..*connection };
            shared.row().open.fetch_add(1, Relaxed);
            shared.pending.fetch_add(1, SeqCst);
            let queued = QueuedRequest::new(connection, head.bytes, request.body, request.length);
            shared.queue.push(queued, &shared.timer);
            return After::Close;
        }
        self.refuse(connection, Asked::Request(head), &BUSY, &"")
    }

    /// Tries a queued request again: launches its handler if there is a slot, refuses it if it has waited too long.
    pub(super) fn retry(&mut self, mut queued: QueuedRequest) -> Attempt {
        let mut slots = request::slots();
        let bytes = std::mem::take(&mut queued.head);
        let Ok(Some(head)) = request::parse(&bytes, &mut slots, &self.shared.limits) else {
            return Attempt::Answered(queued.connection, After::Close); // cannot happen: it was parsed before
        };
        if self.reserve() {
            let (body, length) = (queued.body.take(), queued.length);
            let after =
                self.launch_reserved(Request { connection: &queued.connection, head: &head, body, length });
            return Attempt::Answered(queued.connection, after);
        }
        if queued.may_retry() {
            queued.head = bytes;
            return Attempt::Retry(queued);
        }
        let after = self.refuse(&queued.connection, Asked::Request(&head), &BUSY, &"");
        Attempt::Refused(queued.connection, after)
    }
}
