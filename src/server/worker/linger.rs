//! Lingering: after the server's own answer the client may still be sending its request. Closing with unread input
//! would send a RST, which can overtake the answer, and many clients (nginx as a proxy, Python's http.client) read
//! nothing before they have sent everything. So the rest is read and dropped for a bounded time. This computes the
//! bounds; it does no I/O.
//!
//! A client can linger on purpose. That costs a descriptor and no memory, for [`LONGEST`] at most; the client must send
//! at `--min-rate`, and at most [`SURPLUS`] bytes more than announced. If connections or descriptors are scarce, the
//! oldest lingering connection is closed.

use std::time::{Duration, Instant};

/// Total time, like nginx's `lingering_time`.
const LONGEST: Duration = Duration::from_secs(30);
/// Pause while part of the request is still to come, like nginx's `lingering_timeout`.
const IDLE: Duration = Duration::from_secs(5);
/// Pause when the whole request was read: the client only has to close.
const MOMENT: Duration = Duration::from_secs(1);
/// Bytes beyond the announced length.
const SURPLUS: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct Linger {
    /// Bytes of the request still to come; `None` if unknown.
    owed: Option<u64>,
    received: u64,
    begun: Instant,
}

impl Linger {
    /// Starts now, with `owed` bytes still to come.
    pub fn new(owed: Option<u64>) -> Self {
        Self { owed, received: 0, begun: Instant::now() }
    }

    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Counts bytes that were read and dropped.
    pub fn dropped(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    /// Whether the client has sent too much beyond the announced length.
    pub fn is_over(&self) -> bool {
        self.owed.is_some_and(|owed| self.received > owed.saturating_add(SURPLUS))
    }

    /// Deadline for the next byte or the client's close, at `now`. `min_rate` is in bytes per second; 0 means no
    /// minimum.
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
