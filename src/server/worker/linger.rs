//! Lingering: after an answer of our own the client may still be sending its request. Closing on unread input would send a
//! reset, which can overtake the answer, and many clients (nginx as a proxy, Python's http.client) read nothing before they
//! have sent all. So the rest is read and dropped, and this is how long that may go on. It does no I/O.
//!
//! A client can linger on purpose. It then costs a descriptor and no memory, at most [`LONGEST`], and it must send at
//! `--min-rate`; beyond what it announced only [`SURPLUS`] is taken. Where places or descriptors are short, the oldest
//! lingering connection is closed.

use std::time::{Duration, Instant};

/// In all. As nginx's `lingering_time`.
const LONGEST: Duration = Duration::from_secs(30);
/// Without a byte, while some of the request is still to come. As nginx's `lingering_timeout`.
const IDLE: Duration = Duration::from_secs(5);
/// Without a byte, when the whole request was read: the client only has to close.
const MOMENT: Duration = Duration::from_secs(1);
/// Bytes beyond the announced ones.
const SURPLUS: u64 = 64 * 1024;

/// A connection that has its answer.
#[derive(Clone, Copy, Debug)]
pub struct Linger {
    /// Bytes of the request that were still to come; `None` where the request did not say.
    owed: Option<u64>,
    received: u64,
    begun: Instant,
}

impl Linger {
    /// Begins now, with this many bytes still to come.
    pub fn new(owed: Option<u64>) -> Self {
        Self { owed, received: 0, begun: Instant::now() }
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// This many bytes more were dropped.
    pub fn dropped(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    /// More has come than was announced, and more than is worth reading.
    pub fn is_over(&self) -> bool {
        self.owed.is_some_and(|owed| self.received > owed.saturating_add(SURPLUS))
    }

    /// Until when something must have come, or the client must have closed, counted from `now`. `min_rate` is in bytes per
    /// second, 0 for none.
    pub fn deadline(&self, now: Instant, min_rate: u64) -> Instant {
        let whole = self.owed.is_some_and(|owed| self.received >= owed);
        let pause = now + if whole { MOMENT } else { IDLE };
        let rate = self.received.checked_div(min_rate).map(Duration::from_secs);
        let longest = rate.map_or(LONGEST, |rate| rate.saturating_add(IDLE).min(LONGEST));
        pause.min(self.begun + longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(owed: Option<u64>, received: usize, seconds: u64) -> (Linger, Duration) {
        let mut linger = Linger::new(owed);
        linger.dropped(received);
        let deadline = linger.deadline(linger.begun + Duration::from_secs(seconds), 500);
        (linger, deadline - linger.begun)
    }

    #[test]
    fn a_client_that_owes_nothing_has_a_moment_to_close() {
        assert_eq!(after(Some(0), 0, 0).1, MOMENT);
        assert_eq!(after(Some(5_000_000), 5_000_000, 4).1, Duration::from_secs(5));
    }

    #[test]
    fn pauses_rate_and_time_are_bounded() {
        assert_eq!(after(Some(5_000_000), 1_000_000, 4).1, Duration::from_secs(9), "a pause");
        assert_eq!(after(Some(5_000_000), 2_000, 8).1, Duration::from_secs(9), "500 bytes a second, and 5 s");
        assert_eq!(after(None, 1 << 40, 29).1, LONGEST);
    }

    #[test]
    fn little_is_read_beyond_what_was_announced() {
        assert!(!after(Some(10), 10 + SURPLUS as usize, 0).0.is_over());
        assert!(after(Some(10), 11 + SURPLUS as usize, 0).0.is_over());
        assert!(!after(None, usize::MAX, 0).0.is_over(), "time alone bounds what has no announced end");
    }
}
