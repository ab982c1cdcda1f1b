//! Document responses on their way (RFC 3875, section 6.2): the worker launched the program on a pipe and passed pipe and
//! client on in one message. Responses survive their worker, a reload and, within the grace period, a stop.
//!
//! Memory per response is bounded: its request ([`note::HEAD_BYTES`](super::note::HEAD_BYTES)), the head of its output until
//! that is sent (`http::document::MOST_BYTES`), and one small piece of its body; the rest waits in the pipe.

mod body;
mod exchange;
mod facts;
mod head;
mod redirect;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use nix::sys::epoll::Epoll;

use crate::http::refusal::Refusal;
use crate::scoreboard::Scoreboard;
use crate::scoreboard::mounts::Shares;
use exchange::{Next, Relay, Side};
pub use facts::{End, Ended, Facts};
pub use redirect::Redirects;

/// Marks the keys of responses among the data of events.
pub const RELAY: u64 = 1 << 63;
/// Room for one read.
const SCRATCH_BYTES: usize = 8 * 1024;
/// How long the end of a program is waited for when its output has ended. Usually it is known at once; a program that closes its
/// output and goes on is not waited for.
const PATIENCE: Duration = Duration::from_millis(100);
/// A response is cut this much later than its program is told to end, so that it usually ends with the program.
const OVERTIME: Duration = Duration::from_secs(2);

/// A place under `--max-handlers`, and under the limits of a mount and of a client.
#[derive(Clone, Copy, Debug)]
pub struct Slot(pub Shares);

/// The responses on their way.
#[derive(Debug)]
pub struct Relays {
    board: &'static Scoreboard,
    all: BTreeMap<u64, Box<Relay>>,
    last: u64,
    /// Whose output has ended, and until when to wait for their program, oldest first.
    ending: VecDeque<(Instant, u64)>,
    /// When responses are cut, with `--handler-timeout`.
    limits: BTreeSet<(Instant, u64)>,
    /// When responses are given up whose clients take nothing, with `--send-timeout` and a unix socket.
    stalled: BTreeSet<(Instant, u64)>,
    redirects: Redirects,
    scratch: Box<[u8]>,
    /// Slots that became free.
    freed: Vec<Slot>,
    /// Responses whose client had gone before their program ended.
    given_up: BTreeSet<u64>,
}

impl Relays {
    pub fn new(board: &'static Scoreboard, redirects: Redirects) -> Self {
        board.header().relaying.store(0, SeqCst);
        Self {
            board,
            all: BTreeMap::new(),
            last: RELAY,
            ending: VecDeque::new(),
            limits: BTreeSet::new(),
            stalled: BTreeSet::new(),
            redirects,
            scratch: vec![0; SCRATCH_BYTES].into(),
            freed: Vec::new(),
            given_up: BTreeSet::new(),
        }
    }

    /// Begins a response and returns its key. [`advance`](Self::advance) must follow.
    pub fn begin(
        &mut self,
        facts: Facts,
        (client, output): (OwnedFd, OwnedFd),
        timeout: Option<Duration>,
    ) -> u64 {
        self.last += 1;
        let key = self.last;
        let line = facts.request.line();
        let (minor, head_only) = line.map_or((1, false), |(method, _, minor)| (minor, method == "HEAD"));
        let limit = timeout.and_then(|timeout| facts.started.checked_add(timeout + OVERTIME));
        self.limits.extend(limit.map(|limit| (limit, key)));
        let mut relay = Relay::new(facts, client, output, minor, head_only);
        relay.limit = limit;
        self.all.insert(key, Box::new(relay));
        self.count();
        key
    }

    /// Passes on what there is of one of them, and watches what it waits for.
    pub fn advance(&mut self, epoll: &Epoll, key: u64) {
        loop {
            let Some(relay) = self.all.get_mut(&key) else { return };
            match relay.advance(epoll, &mut self.scratch) {
                Next::Output => return self.wait(epoll, key, Some(Side::Output)),
                Next::Client => return self.wait(epoll, key, Some(Side::Client)),
                Next::Program => {
                    self.ending.push_back((Instant::now() + PATIENCE, key));
                    return self.wait(epoll, key, None);
                }
                Next::Redirect(target) => match self.redirects.send(relay, &target) {
                    Ok(()) => relay.redirected(),
                    Err(refusal) => relay.refuse(refusal),
                },
                Next::Done => return self.finish(epoll, key),
            }
        }
    }

    fn wait(&mut self, epoll: &Epoll, key: u64, side: Option<Side>) {
        let Some(relay) = self.all.get_mut(&key) else { return };
        let patience = side.filter(|side| *side == Side::Client).and_then(|_| relay.patience());
        let due = patience.and_then(|patience| Instant::now().checked_add(patience));
        reschedule(&mut self.stalled, key, &mut relay.stalled, due);
        if let Err(error) = relay.watch(epoll, key, side) {
            tracing::error!("cannot watch a response: {error}");
            relay.abandon(epoll, Refusal::new(503, "the server has no memory to watch the response"));
            self.finish(epoll, key);
        }
    }

    fn finish(&mut self, epoll: &Epoll, key: u64) {
        let Some(mut relay) = self.all.remove(&key) else { return };
        relay.unwatch(epoll);
        while self.ending.front().is_some_and(|(_, key)| !self.all.contains_key(key)) {
            self.ending.pop_front(); // else the keeper would wake up for it
        }
        reschedule(&mut self.limits, key, &mut relay.limit, None);
        reschedule(&mut self.stalled, key, &mut relay.stalled, None);
        relay.facts.record(self.board.header());
        if relay.facts.end == End::ClientGone && relay.facts.program.is_none() {
            self.given_up.insert(key);
        }
        self.freed.extend(relay.slot);
        self.count();
    }

    fn count(&self) {
        self.board.header().relaying.store(self.all.len() as u64, SeqCst);
    }

    /// Whether only the end of its program is missing to a response.
    pub fn awaits_program(&self, key: u64) -> bool {
        self.all.get(&key).is_some_and(|relay| relay.awaits_program())
    }

    /// The program of a response has ended. Returns whether the response is still under way: then it takes over the program's
    /// slot, if there is one.
    pub fn program_ended(&mut self, epoll: &Epoll, key: u64, ended: Ended, slot: Option<Slot>) -> bool {
        self.given_up.remove(&key);
        let Some(relay) = self.all.get_mut(&key) else { return false };
        if relay.program_ended(ended) {
            self.advance(epoll, key);
        }
        let relay = self.all.get_mut(&key);
        relay.is_some_and(|relay| {
            relay.slot = slot;
            true
        })
    }

    /// Whether its client had gone before its program ended.
    pub fn is_given_up(&self, key: u64) -> bool {
        self.given_up.contains(&key)
    }

    /// The shares of responses whose program has ended.
    pub fn shares(&self) -> impl Iterator<Item = Shares> {
        self.all.values().filter_map(|relay| relay.slot).map(|Slot(shares)| shares)
    }

    /// Slots that became free since the last call.
    pub fn freed(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.freed)
    }

    /// When [`by_time`](Self::by_time) is due.
    pub fn due(&self) -> Option<Instant> {
        let ending = self.ending.front().map(|(due, _)| *due);
        let deadlines = [&self.limits, &self.stalled].into_iter().filter_map(|all| all.first());
        ending.into_iter().chain(deadlines.map(|(due, _)| *due)).min()
    }

    pub fn by_time(&mut self, epoll: &Epoll, now: Instant) {
        while self.ending.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.ending.pop_front() else { return };
            if self.all.get_mut(&key).is_some_and(|relay| relay.program_ended(Ended::default())) {
                self.advance(epoll, key);
            }
        }
        while let Some((_, key)) = self.limits.first().copied().filter(|(due, _)| *due <= now) {
            self.limits.pop_first(); // also by the end of the response, if it is there
            if let Some(relay) = self.all.get_mut(&key) {
                relay.abandon(epoll, Refusal::new(504, "the handler exceeded its timeout"));
                self.finish(epoll, key);
            }
        }
        while let Some((_, key)) = self.stalled.first().copied().filter(|(due, _)| *due <= now) {
            self.stalled.pop_first(); // also by the next lines, if it is there
            match self.all.get_mut(&key) {
                Some(relay) if relay.is_taken() => self.wait(epoll, key, Some(Side::Client)),
                Some(relay) => {
                    relay.client_has_gone();
                    self.finish(epoll, key);
                }
                None => {}
            }
        }
    }

    /// No worker is left that takes local redirects.
    pub fn without_workers(&mut self) {
        self.redirects.close();
    }

    /// There are workers again.
    pub fn with_workers(&mut self) {
        self.redirects.open();
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        2 * self.all.len()
    }
}

/// Changes a deadline of the response `key`.
fn reschedule(all: &mut BTreeSet<(Instant, u64)>, key: u64, own: &mut Option<Instant>, due: Option<Instant>) {
    if let Some(before) = std::mem::replace(own, due) {
        all.remove(&(before, key));
    }
    all.extend(due.map(|due| (due, key)));
}
