//! A slot holds one connection at a time, and the request on it. Pure: events in, steps out, with neither sockets nor
//! clocks, so that a test can bring events in any order.

use super::exchange::Exchange;
use crate::loadgen::count::{Failure, Timestamps};
use crate::loadgen::plan::{Persistence, Timeouts};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No request. A connection may be open for the next one.
    Idle,
    Connecting,
    /// The request is being sent or answered.
    Exchanging,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// An open connection.
    Reuse,
    /// A new connection. `again`: the server closed the previous one while it was idle.
    Open { again: bool },
}

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Wait,
    /// The response is complete. Close the connection unless `keep`.
    Complete {
        keep: bool,
    },
    /// The request has failed, with a reason if the kind does not say it. Close the connection.
    Fail(Failure, &'static str),
    /// The idle connection has ended. Close it; no request has failed.
    Lost,
}

#[derive(Debug)]
pub struct Slot {
    stage: Stage,
    /// The response, as far as it is there.
    pub exchange: Exchange,
    pub timestamps: Timestamps,
    persistence: Persistence,
    /// Bytes of the request not sent yet.
    pub unsent: usize,
    /// Sending found the connection reset; data that arrived before can still be read.
    reset: bool,
    /// The request belongs to the measured time.
    pub counted: bool,
    open: bool,
    /// The server closed the last connection while it was idle.
    lost: bool,
    /// Responses on the open connection.
    answered: u64,
    /// When the last of them was complete.
    idle_since: u64,
}

impl Slot {
    pub fn new(head_request: bool, persistence: Persistence) -> Self {
        Self {
            stage: Stage::Idle,
            exchange: Exchange::new(head_request),
            timestamps: Timestamps::default(),
            persistence,
            unsent: 0,
            reset: false,
            counted: false,
            open: false,
            lost: false,
            answered: 0,
            idle_since: 0,
        }
    }

    /// Starts a request that was due at `intended`; `counted`: it belongs to the measured time. The slot must be idle.
    pub fn begin(&mut self, intended: u64, now: u64, counted: bool) -> Begin {
        debug_assert_eq!(self.stage, Stage::Idle);
        self.timestamps = Timestamps { intended, started: now, connected: 0, first_byte: 0 };
        self.exchange.reset();
        (self.counted, self.reset) = (counted, false);
        let again = std::mem::take(&mut self.lost);
        if self.open {
            self.stage = Stage::Exchanging;
            return Begin::Reuse;
        }
        self.stage = Stage::Connecting;
        self.answered = 0;
        Begin::Open { again }
    }

    /// Whether the request is the last one on its connection.
    pub fn is_last(&self) -> bool {
        self.answered + 1 >= self.persistence.requests
    }

    pub fn connect(&mut self, now: u64) {
        if self.stage == Stage::Connecting {
            (self.stage, self.open, self.timestamps.connected) = (Stage::Exchanging, true, now);
        }
    }

    /// This many more bytes have been sent. The response may already be complete.
    pub fn sent(&mut self, bytes: usize, now: u64) -> Step {
        self.unsent = self.unsent.saturating_sub(bytes);
        if self.stage == Stage::Exchanging { self.settle(now) } else { Step::Wait }
    }

    /// Sending found the connection reset: only data that has arrived can complete the response.
    pub fn cut(&mut self) {
        (self.unsent, self.reset) = (0, true);
    }

    pub fn receive(&mut self, bytes: &[u8], now: u64) -> Step {
        match self.stage {
            Stage::Idle => self.lose(),
            Stage::Connecting => Step::Wait,
            Stage::Exchanging => {
                if self.timestamps.first_byte == 0 {
                    self.timestamps.first_byte = now;
                }
                match self.exchange.receive(bytes) {
                    Ok(()) => self.settle(now),
                    Err(why) => self.fail(Failure::BadResponse, why),
                }
            }
        }
    }

    /// Completes the request before its connection ends, if the connection will be reused or the client closes it, or if
    /// the response came before the request was sent: then the server will not read the rest (RFC 9112, section 9.3).
    fn settle(&mut self, now: u64) -> Step {
        if self.reset || !self.exchange.is_whole() {
            return Step::Wait;
        }
        if self.unsent > 0 {
            return self.complete(false, now);
        }
        let keep = !self.is_last() && self.exchange.is_reusable();
        let done = keep || (self.is_last() && self.persistence.client_closes);
        if done { self.complete(keep, now) } else { Step::Wait }
    }

    fn complete(&mut self, keep: bool, now: u64) -> Step {
        (self.stage, self.open, self.idle_since) = (Stage::Idle, keep, now);
        self.answered += 1;
        Step::Complete { keep }
    }

    /// The connection was closed, or reset.
    pub fn end(&mut self, reset: bool) -> Step {
        if self.stage == Stage::Idle {
            return self.lose();
        }
        let reused = self.stage == Stage::Exchanging && self.answered > 0;
        match self.exchange.end(reset || self.reset).map(drop) {
            Ok(()) => self.complete(false, 0),
            Err(_) if reused && !self.exchange.has_begun() => self.fail(Failure::ClosedBeforeResponse, ""),
            Err(failure) => self.fail(failure, ""),
        }
    }

    /// The request has failed; if the slot is idle, the connection is lost.
    pub fn fail(&mut self, failure: Failure, why: &'static str) -> Step {
        if self.stage == Stage::Idle {
            return self.lose();
        }
        (self.stage, self.open) = (Stage::Idle, false);
        Step::Fail(failure, why)
    }

    fn lose(&mut self) -> Step {
        if !std::mem::replace(&mut self.open, false) {
            return Step::Wait;
        }
        self.lost = true;
        Step::Lost
    }

    /// The timeout that has passed, if any.
    pub fn overdue(&self, now: u64, timeouts: &Timeouts) -> Option<Failure> {
        let Timestamps { started, connected, first_byte, .. } = self.timestamps;
        let passed = |since: u64, limit_ns: u64| now >= since.saturating_add(limit_ns);
        match self.stage {
            Stage::Idle => None,
            Stage::Connecting => {
                let limit_ns = timeouts.connect_ns.min(timeouts.total_ns);
                passed(started, limit_ns).then_some(Failure::ConnectTimeout)
            }
            Stage::Exchanging if passed(started, timeouts.total_ns) => Some(self.exchange.timed_out()),
            Stage::Exchanging => {
                let late = first_byte == 0 && passed(connected.max(started), timeouts.first_byte_ns);
                late.then_some(Failure::TimeoutBeforeResponse)
            }
        }
    }

    /// Whether a request is under way.
    pub fn is_busy(&self) -> bool {
        self.stage != Stage::Idle
    }

    /// Whether a request is under way that has its connection.
    pub fn is_connected(&self) -> bool {
        self.stage == Stage::Exchanging
    }

    /// Since when an open connection has had nothing to do.
    pub fn idle_since(&self) -> Option<u64> {
        (self.stage == Stage::Idle && self.open).then_some(self.idle_since)
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
