//! `--max-handlers`, of the instance and of mounts, and `--max-per-client`: counts launches against the limits. At a limit a
//! request is refused, or queued for a moment ([`handler_queue`](super::handler_queue)).

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::connection::Connection;
use super::handler_queue::{Limit, Of, QueuedRequest};
use super::service::{After, Request, Service};
use crate::http::request::{self, Head};
use crate::scoreboard::clients::Client;
use crate::scoreboard::mounts::{Noted, Place, Shares};
use crate::scoreboard::subtract;
use crate::server::logging::Asked;

/// The outcome of another attempt to serve a queued request.
#[derive(Debug)]
pub enum Attempt {
    /// The limit still holds; try again.
    Retry(QueuedRequest),
    /// The request was answered.
    Answered(Connection, After),
    /// The request was refused, because it has waited long enough for this limit.
    Refused(Connection, After, Limit),
}

impl Service {
    /// Reserves a handler slot in the instance, and in the mount and of the client if these have a limit. Without a keeper
    /// nothing is counted. Returns the client if it has a limit.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn reserve(
        &self,
        connection: &Connection,
        head: &Head<'_, '_>,
    ) -> Result<Option<Client>, Limit> {
        if self.shared.watch.is_none() {
            return Ok(None);
        }
        let (begun, board) = (&self.shared.row().begun, self.shared.board);
        let most = self.shared.settings.max_handlers;
        if !take(begun, most, || board.handlers()) {
            return Err(Limit { of: Of::Area(0), most: most.unwrap_or(0) });
        }
        let area = self.launcher.area(head.path);
        let mount = self.limited(area);
        let in_mount = mount.is_none_or(|(place, most)| take(&place.begun, Some(most), || place.running()));
        let taken = match mount {
            Some((_, most)) if !in_mount => Err(Limit { of: Of::Area(area), most }),
            _ => self.shared.take_handler(connection, head).inspect_err(|_| {
                mount.inspect(|(place, _)| subtract(&place.begun, 1));
            }),
        };
        taken.inspect_err(|_| subtract(begun, 1))
    }

    /// Gives back the slot of a handler that could not be started.
    pub(super) fn release(&self, head: &Head<'_, '_>, client: Option<Client>) {
        self.shared.give_back_handler(client);
        if self.shared.watch.is_some() {
            let place = self.limited(self.launcher.area(head.path));
            place.inspect(|(place, _)| subtract(&place.begun, 1));
            subtract(&self.shared.row().begun, 1);
        }
    }

    /// The counts of an area that has a limit of its own, and the limit.
    fn limited(&self, area: usize) -> Option<(&Place, u64)> {
        let limit = self.shared.settings.mount_of(area)?.most_handlers()?;
        Some((self.shared.board.mounts()?.place(self.shared.places[area - 1]), limit))
    }

    /// What the keeper must know of a handler in this area.
    pub(super) fn noted(&self, area: usize, client: Option<Client>) -> Noted {
        let place = self.limited(area).map(|_| self.shared.places[area - 1]);
        Noted { shares: Shares { place, client }, timeout: self.shared.settings.timeout_of(area) }
    }

    /// Queues or refuses a request at the limit. A path without a handler gets its 404 or 403 all the same.
    pub(super) fn at_the_limit(&mut self, limit: Limit, request: Request<'_>) -> After {
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
            let queued = QueuedRequest::new(connection, request, limit);
            shared.queue.push(queued, &shared.timer);
            return After::Close;
        }
        self.refuse(connection, Asked::Request(head), limit.refusal(), &"")
    }

    /// Tries a queued request again: launches its handler if there is a slot, refuses it if it has waited too long.
    pub(super) fn retry(&mut self, mut queued: QueuedRequest) -> Attempt {
        let mut slots = request::slots();
        let bytes = std::mem::take(&mut queued.head);
        let Ok(Some(head)) = request::parse(&bytes, &mut slots, &self.shared.limits) else {
            return Attempt::Answered(queued.connection, After::Close); // cannot happen: it was parsed before
        };
        let limit = match self.reserve(&queued.connection, &head) {
            Ok(client) => {
                let (body, length, hops) = (queued.body.take(), queued.length, queued.hops);
                let request = Request { connection: &queued.connection, head: &head, body, length, hops };
                let after = self.launch_reserved(request, client);
                return Attempt::Answered(queued.connection, after);
            }
            Err(limit) => limit,
        };
        queued.limit = limit;
        if queued.may_retry() {
            queued.head = bytes;
            return Attempt::Retry(queued);
        }
        let after = self.refuse(&queued.connection, Asked::Request(&head), limit.refusal(), &"");
        Attempt::Refused(queued.connection, after, limit)
    }
}

/// Takes a slot, unless `limit` is reached. It checks before it adds, so that a refusal does not take a slot from another
/// worker; and again afterwards: of two workers that add at the same time, at least one sees both.
fn take(begun: &AtomicU64, limit: Option<u64>, running: impl Fn() -> u64) -> bool {
    let is_within = |extra: u64| limit.is_none_or(|limit| running() + extra <= limit);
    if !is_within(1) {
        return false;
    }
    begun.fetch_add(1, SeqCst);
    let within = is_within(0);
    if !within {
        subtract(begun, 1);
    }
    within
}
