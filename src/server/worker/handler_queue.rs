//! Requests that arrived while `--max-handlers` handlers were running. A client sees the end of a response slightly before
//! its handler is counted off, so a client that sends one request after another would be refused by chance: its request
//! waits here for a few milliseconds instead. Under overload waiting is futile, so only a few requests wait, and after one
//! waited in vain none do for a while: then a refusal costs no more than any other answer of the server's own. The limits of
//! the instance, of each mount and of each client have queues of their own in this sense.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::service::Request;
use super::timer::Timer;
use crate::http::refusal::{BUSY, PER_CLIENT, Refusal};
use crate::scoreboard::clients::Client;

/// Pauses between the attempts. Their sum is the longest wait.
const PAUSES_MS: [u64; 6] = [1, 1, 2, 4, 8, 16];
/// After a request waited in vain, requests are refused at once for this long.
const CLOSED: Duration = Duration::from_millis(100);
/// At most this many requests wait for one limit, and never more than the limit...
const LONGEST: u64 = 8;
/// ...and at most this many for all of them.
const MOST: usize = 256;
/// Resolution of the timer for queued requests.
const GRAIN: Duration = Duration::from_micros(100);

/// What has a limit on running handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// 0 for the instance, else a mount.
    Area(usize),
    Client(Client),
}

/// A limit on running handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub of: Of,
    pub most: u64,
}

impl Limit {
    /// The answer to a request that has waited in vain, or cannot wait.
    pub fn refusal(self) -> &'static Refusal {
        if let Of::Client(_) = self.of { &PER_CLIENT } else { &BUSY }
    }
}

/// A whole request that waits for a handler slot.
#[derive(Debug)]
pub struct QueuedRequest {
    pub connection: Connection,
    /// The bytes of the request head.
    pub head: Vec<u8>,
    /// The handler's standard input.
    pub body: Option<OwnedFd>,
    /// `CONTENT_LENGTH`.
    pub length: Option<u64>,
    /// What it waits for.
    pub limit: Limit,
    /// Local redirects that led to it.
    pub hops: u8,
    attempts: usize,
    due: Instant,
}

impl QueuedRequest {
    /// A `request` that keeps its `connection` and waits for `limit`.
    pub fn new(connection: Connection, request: Request<'_>, limit: Limit) -> Self {
        let due = Instant::now() + Duration::from_millis(PAUSES_MS[0]);
        let Request { head, body, length, hops, .. } = request;
        Self { connection, head: head.bytes.to_vec(), body, length, hops, limit, attempts: 0, due }
    }

    /// Call after a failed attempt. Returns whether the request may wait for another one.
    pub fn may_retry(&mut self) -> bool {
        self.attempts += 1;
        let pause = PAUSES_MS.get(self.attempts);
        pause.inspect(|&&pause| self.due = Instant::now() + Duration::from_millis(pause)).is_some()
    }
}

/// The waiting requests of one worker.
#[derive(Debug, Default)]
pub struct HandlerQueue(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<QueuedRequest>,
    closed_until: HashMap<Of, Instant>,
}

impl HandlerQueue {
    /// Whether one more request may wait.
    pub fn has_room(&self, limit: Limit) -> bool {
        let queue = self.lock();
        let waiting = queue.waiting.iter().filter(|one| one.limit.of == limit.of).count() as u64;
        waiting < limit.most.min(LONGEST)
            && queue.waiting.len() < MOST
            && queue.closed_until.get(&limit.of).is_none_or(|&until| until <= Instant::now())
    }

    /// Adds a request and arms the timer for it.
    pub fn push(&self, request: QueuedRequest, timer: &Timer) {
        let due = request.due;
        self.lock().waiting.push_back(request);
        timer.arm(due, GRAIN);
    }

    /// Refuses further requests for a while, because one waited in vain.
    pub fn close(&self, limit: Limit) {
        let (mut queue, now) = (self.lock(), Instant::now());
        queue.closed_until.retain(|_, until| *until > now);
        queue.closed_until.insert(limit.of, now + CLOSED);
    }

    /// Removes the requests whose next attempt is due, oldest first, and arms the timer for the others.
    pub fn take_due(&self, now: Instant, timer: &Timer) -> Vec<QueuedRequest> {
        let mut queue = self.lock();
        let (due, rest) = std::mem::take(&mut queue.waiting).into_iter().partition(|one| one.due <= now);
        queue.waiting = rest;
        let next = queue.waiting.iter().map(|one| one.due).min();
        next.inspect(|next| timer.arm(*next, GRAIN));
        Vec::from_iter::<VecDeque<QueuedRequest>>(due)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Limit = Limit { of: Of::Area(0), most: 2 };

    fn request() -> QueuedRequest {
        let (one, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let connection = Connection::new(one.into(), ([127, 0, 0, 1], 1).into());
        QueuedRequest {
            connection,
            head: Vec::new(),
            body: None,
            length: None,
            hops: 0,
            limit: TWO,
            attempts: 0,
            due: Instant::now(),
        }
    }

    #[test]
    fn few_requests_wait_and_none_after_one_waited_in_vain() {
        let (queue, timer) = (HandlerQueue::default(), Timer::new().unwrap());
        assert!(queue.has_room(TWO));
        (0..2).for_each(|_| queue.push(request(), &timer));
        assert!(!queue.has_room(TWO));
        let mut due = queue.take_due(Instant::now() + Duration::from_secs(1), &timer);
        assert_eq!((due.len(), queue.lock().waiting.len()), (2, 0));
        let mut one = due.remove(0);
        assert_eq!((0..9).take_while(|_| one.may_retry()).count(), PAUSES_MS.len() - 1);
        queue.close(TWO);
        assert!(!queue.has_room(TWO) && queue.has_room(Limit { of: Of::Area(1), most: 1 }));
        let client = Client::numbered(1).unwrap();
        assert!(queue.has_room(Limit { of: Of::Client(client), most: 1 }));
    }
}
