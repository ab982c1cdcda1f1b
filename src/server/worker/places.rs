//! Requests that came when as many handlers ran as may. A client sees the end of a response a moment before its handler is
//! counted off, so the next request of a client that sends them one by one must not be refused at once: it waits here for a few
//! ms. Under overload that would be in vain, so only a few wait, and after a wait in vain none for a while: then a refusal costs
//! what any other answer of our own costs. Decides only; the room has the timer and the connections.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::connection::Connection;

/// When it is tried again, after how long from the last try. The sum is the longest wait.
const PAUSES_MS: [u64; 6] = [1, 1, 2, 4, 8, 16];
/// After a wait in vain, requests are refused at once for this long.
const CLOSED: Duration = Duration::from_millis(100);
/// Not more than this wait, and not more than handlers may run.
const MOST_WAITING: u64 = 8;

/// A whole request that waits for a place.
#[derive(Debug)]
pub struct Waiting {
    /// The client.
    pub connection: Connection,
    /// The bytes of its head.
    pub head: Vec<u8>,
    /// The handler's standard input.
    pub body: Option<OwnedFd>,
    /// Its length, where it has one.
    pub length: Option<u64>,
    tries: usize,
    due: Instant,
}

impl Waiting {
    /// A request that is tried again soon.
    pub fn new(connection: Connection, head: &[u8], body: Option<OwnedFd>, length: Option<u64>) -> Self {
        let due = Instant::now() + Duration::from_millis(PAUSES_MS[0]);
        Self { connection, head: head.to_vec(), body, length, tries: 0, due }
    }

    /// It was tried in vain: whether it waits on.
    pub fn waits_on(&mut self) -> bool {
        self.tries += 1;
        let pause = PAUSES_MS.get(self.tries);
        pause.inspect(|&&pause| self.due = Instant::now() + Duration::from_millis(pause)).is_some()
    }
}

/// Those that wait in one worker.
#[derive(Debug, Default)]
pub struct Places {
    waiting: VecDeque<Waiting>,
    closed_until: Option<Instant>,
}

impl Places {
    /// Whether one more may wait, where `limit` handlers may run.
    pub fn may_wait(&self, limit: u64) -> bool {
        (self.waiting.len() as u64) < limit.min(MOST_WAITING)
            && self.closed_until.is_none_or(|until| until <= Instant::now())
    }

    /// One more waits.
    pub fn push(&mut self, request: Waiting) {
        self.waiting.push_back(request);
    }

    /// One waited in vain.
    pub fn close(&mut self) {
        self.closed_until = Some(Instant::now() + CLOSED);
    }

    /// Those that are tried again now, the oldest first.
    pub fn due(&mut self, now: Instant) -> Vec<Waiting> {
        let (due, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|one| one.due <= now);
        self.waiting = rest;
        Vec::from_iter::<VecDeque<Waiting>>(due)
    }

    /// When the next one is tried again.
    pub fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.due).min()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Waiting {
        let (one, _) = std::os::unix::net::UnixStream::pair().unwrap();
        Waiting::new(Connection::new(one.into(), ([127, 0, 0, 1], 1).into()), b"", None, None)
    }

    #[test]
    fn few_wait_and_none_after_a_wait_in_vain() {
        let mut places = Places::default();
        assert!(places.may_wait(2));
        (0..2).for_each(|_| places.push(request()));
        assert!(!places.may_wait(2));
        let mut due = places.due(Instant::now() + Duration::from_secs(1));
        assert_eq!((due.len(), places.is_empty()), (2, true));
        let mut one = due.remove(0);
        assert_eq!((0..9).take_while(|_| one.waits_on()).count(), PAUSES_MS.len() - 1);
        places.close();
        assert!(!places.may_wait(2));
    }
}
