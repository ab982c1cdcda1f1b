//! The dispatch table: the state of all workers in shared memory, and the choice of the worker for the next connection.
//!
//! One word per worker: the number of connections passed to it and not taken yet, and three flags. It changes only by atomic
//! operations, so a process that dies midway leaves a usable word. All decisions are pure functions on such words
//! ([`pick`], [`State`]); this file makes no system call.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::sys::map::SharedMap;

/// At most this many connections wait in a worker's channel: enough that a worker finds the next one at once when it finishes,
/// and few enough that others soon empty the channel of a stuck worker.
pub const CHANNEL_CAPACITY: u64 = 2;

/// Sleeps on its channel, or is about to.
const WAITS: u64 = 1 << 32;
/// Not started, dead or stopped. Set by the supervisor; cleared by it or by the replacement.
const ABSENT: u64 = 1 << 33;
/// Accepts no more connections and finishes those it has.
const LEFT: u64 = 1 << 34;
const QUEUED: u64 = u32::MAX as u64;

/// A worker's word at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u64);

impl State {
    /// Connections passed to it and not taken.
    pub fn queued(self) -> u64 {
        self.0 & QUEUED
    }

    /// Neither dead nor stopped, and has not left.
    pub fn is_there(self) -> bool {
        self.0 & (ABSENT | LEFT) == 0
    }

    /// Sleeps, and no connection is on its way to it.
    pub fn is_idle(self) -> bool {
        self.is_there() && self.0 & WAITS != 0 && self.queued() == 0
    }

    /// Can be passed a connection.
    pub fn has_capacity(self) -> bool {
        self.is_there() && self.queued() < CHANNEL_CAPACITY
    }

    /// Has been woken for its channel, or is about to be, and will empty it itself.
    pub fn is_coming(self) -> bool {
        self.is_there() && self.0 & WAITS != 0
    }

    /// A connection waits in its channel that an idle worker may take.
    pub fn can_be_taken_over(self) -> bool {
        self.queued() > 0 && !self.is_coming()
    }

    /// One connection less; never below zero, since a dying worker can leave too small a count.
    fn less_one(self) -> Self {
        Self(self.0 - u64::from(self.queued() > 0))
    }
}

/// How the dispatcher chooses among workers that are equally free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The next in turn.
    Turn,
    /// The one with the fewest connections; among equals the next in turn.
    FewestOpen,
    /// The one with the fewest connections; among equals the lowest number.
    FewestOpenFirst,
}

/// The worker for the next connection: an idle one, else one with capacity. `open` returns the number of connections that a
/// worker holds; only policies that count them call it. `turn` is the worker whose turn it is.
pub fn pick(
    policy: Policy,
    states: impl Iterator<Item = State> + Clone,
    open: impl Fn(usize) -> u64,
    turn: usize,
) -> Option<usize> {
    let best = |free: fn(State) -> bool| {
        let free = states.clone().enumerate().filter(|&(_, state)| free(state));
        let after = |worker: usize| (worker < turn, worker);
        match policy {
            Policy::Turn => free.map(|(worker, _)| worker).min_by_key(|&worker| after(worker)),
            Policy::FewestOpen => free
                .map(|(worker, state)| (open(worker) + state.queued(), after(worker), worker))
                .min()
                .map(|(_, _, worker)| worker),
            Policy::FewestOpenFirst => free
                .map(|(worker, state)| (open(worker) + state.queued(), worker))
                .min()
                .map(|(_, worker)| worker),
        }
    };
    best(State::is_idle).or_else(|| best(State::has_capacity))
}

/// The shared memory.
#[derive(Debug)]
pub struct DispatchTable {
    map: SharedMap,
    workers: usize,
}

const WORD: usize = size_of::<u64>();
/// The words are adjacent because the dispatcher reads all of them for each connection.
const FIRST_WORD: usize = 128;

impl DispatchTable {
    /// A table without registered workers.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(workers: usize) -> io::Result<Self> {
        let table = Self { map: SharedMap::anonymous(FIRST_WORD + workers * WORD)?, workers };
        (0..workers).for_each(|worker| table.word(worker).store(ABSENT, SeqCst));
        Ok(table)
    }

    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The worker whose turn it is. Shared, so that a replacement of the dispatcher continues from there.
    fn turn(&self) -> &AtomicU64 {
        self.map.at(0)
    }

    /// 1 while the dispatcher sleeps until a worker has capacity.
    fn wanting(&self) -> &AtomicU64 {
        self.map.at(WORD)
    }

    fn word(&self, worker: usize) -> &AtomicU64 {
        self.map.at(FIRST_WORD + worker * WORD)
    }

    fn change(&self, worker: usize, change: impl Fn(State) -> State) -> State {
        let word = self.word(worker);
        let mut old = word.load(SeqCst);
        loop {
            match word.compare_exchange_weak(old, change(State(old)).0, SeqCst, SeqCst) {
                Ok(_) => return State(old),
                Err(now) => old = now,
            }
        }
    }

    pub fn state(&self, worker: usize) -> State {
        State(self.word(worker).load(SeqCst))
    }

    pub fn states(&self) -> impl Iterator<Item = State> + Clone {
        (0..self.workers).map(|worker| self.state(worker))
    }

    /// Any idle worker.
    pub fn idle(&self) -> Option<usize> {
        (0..self.workers).find(|&worker| self.state(worker).is_idle())
    }

    /// Picks the worker for the next connection ([`pick`]), and moves the turn on.
    pub fn choose(&self, policy: Policy, open: impl Fn(usize) -> u64) -> Option<usize> {
        let turn = usize::try_from(self.turn().load(SeqCst)).unwrap_or(0);
        let chosen = pick(policy, self.states(), open, turn)?;
        self.turn_after(chosen);
        Some(chosen)
    }

    /// The worker for a connection that is already accepted although none has capacity.
    pub fn next_in_turn(&self) -> usize {
        let chosen = usize::try_from(self.turn().load(SeqCst)).unwrap_or(0) % self.workers;
        self.turn_after(chosen);
        chosen
    }

    fn turn_after(&self, worker: usize) {
        self.turn().store(((worker + 1) % self.workers) as u64, SeqCst);
    }

    /// Whether some worker can be passed a connection.
    pub fn any_has_capacity(&self) -> bool {
        self.states().any(State::has_capacity)
    }

    /// A connection is about to be passed to the worker.
    pub fn passing(&self, worker: usize) {
        self.word(worker).fetch_add(1, SeqCst);
    }

    /// A connection was taken from the worker's channel, or could not be passed. Returns whether to wake the dispatcher.
    pub fn taken(&self, worker: usize) -> bool {
        let before = self.change(worker, State::less_one);
        before.queued() <= 1 && self.wants_connection()
    }

    /// As [`Self::taken`], by the worker itself, which now has something to do.
    pub fn taken_by_itself(&self, worker: usize) -> bool {
        let before = self.change(worker, |state| State(state.less_one().0 & !WAITS));
        before.queued() <= 1 && self.wants_connection()
    }

    /// The worker is about to sleep, or has woken up. Returns whether to wake the dispatcher.
    pub fn waits(&self, worker: usize, waits: bool) -> bool {
        if waits {
            self.word(worker).fetch_or(WAITS, SeqCst);
        } else {
            self.word(worker).fetch_and(!WAITS, SeqCst);
        }
        waits && self.wants_connection()
    }

    /// Registers a worker or its replacement, with this many connections in its channel. Returns whether to wake the dispatcher.
    pub fn register(&self, worker: usize, queued: u64) -> bool {
        self.word(worker).store(queued, SeqCst);
        self.wants_connection()
    }

    /// Corrects the number of connections in the worker's channel.
    pub fn recounted(&self, worker: usize, queued: u64) {
        self.change(worker, |state| State(state.0 & !QUEUED | queued));
    }

    /// The worker accepts no more connections.
    pub fn leaves(&self, worker: usize) {
        self.change(worker, |state| State(state.0 & !WAITS | LEFT));
    }

    /// Marks the worker as dead or stopped, or clears the mark. Returns the new state.
    pub fn absent(&self, worker: usize, absent: bool) -> State {
        let word = self.word(worker);
        if absent {
            State(word.fetch_or(ABSENT, SeqCst) | ABSENT)
        } else {
            State(word.fetch_and(!ABSENT, SeqCst) & !ABSENT)
        }
    }

    /// The dispatcher is about to sleep until a worker has capacity, or has woken up.
    pub fn set_wants_connection(&self, wants: bool) {
        self.wanting().store(u64::from(wants), SeqCst);
    }

    /// Whether the dispatcher sleeps until a worker has capacity.
    pub fn wants_connection(&self) -> bool {
        self.wanting().load(SeqCst) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: State = State(WAITS);
    const BUSY: State = State(0);

    fn queued(n: u64) -> State {
        State(n)
    }

    fn choose(policy: Policy, states: &[State], open: &[u64], turn: usize) -> Option<usize> {
        pick(policy, states.iter().copied(), |worker| open[worker], turn)
    }

    #[test]
    fn the_next_idle_worker_in_turn_is_picked() {
        let states = [IDLE, BUSY, IDLE, IDLE];
        for (turn, expected) in [(0, 0), (1, 2), (2, 2), (3, 3), (4, 0)] {
            assert_eq!(choose(Policy::Turn, &states, &[0; 4], turn), Some(expected), "turn {turn}");
        }
    }

    #[test]
    fn a_busy_worker_is_picked_only_when_none_is_idle_and_only_while_it_has_capacity() {
        assert_eq!(choose(Policy::Turn, &[BUSY, BUSY, IDLE], &[0; 3], 0), Some(2));
        assert_eq!(choose(Policy::Turn, &[queued(CHANNEL_CAPACITY), BUSY, BUSY], &[0; 3], 0), Some(1));
        assert_eq!(
            choose(Policy::Turn, &[queued(CHANNEL_CAPACITY), queued(CHANNEL_CAPACITY)], &[0; 2], 0),
            None
        );
        // Woken, but not yet there: what it was passed is on the way, so it is not idle twice.
        assert_eq!(choose(Policy::Turn, &[State(WAITS | 1), IDLE], &[0; 2], 0), Some(1));
    }

    #[test]
    fn absent_workers_and_those_that_have_left_are_not_picked() {
        for away in [ABSENT, LEFT, ABSENT | LEFT] {
            assert_eq!(choose(Policy::Turn, &[State(WAITS | away), State(away)], &[0; 2], 0), None);
            assert_eq!(choose(Policy::FewestOpen, &[State(WAITS | away), IDLE], &[0, 9], 0), Some(1));
        }
    }

    #[test]
    fn the_fewest_open_win_and_ties_go_round_or_to_the_first() {
        let open = [3, 1, 1, 2];
        assert_eq!(choose(Policy::FewestOpen, &[IDLE; 4], &open, 0), Some(1));
        assert_eq!(choose(Policy::FewestOpen, &[IDLE; 4], &open, 2), Some(2));
        assert_eq!(choose(Policy::FewestOpen, &[IDLE; 4], &open, 3), Some(1));
        assert_eq!(choose(Policy::FewestOpenFirst, &[IDLE; 4], &open, 2), Some(1));
        // What is on the way counts as held.
        assert_eq!(choose(Policy::FewestOpen, &[queued(1), BUSY], &[0, 0], 0), Some(1));
    }

    #[test]
    fn turns_go_on_from_one_choice_to_the_next() {
        let table = DispatchTable::new(3).unwrap();
        assert_eq!(table.choose(Policy::Turn, |_| 0), None, "no worker is registered");
        (0..3).for_each(|worker| assert!(!table.register(worker, 0)));
        let chosen: Vec<_> = (0..6).map(|_| table.choose(Policy::Turn, |_| 0).unwrap()).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
        table.absent(0, true);
        let chosen: Vec<_> = (0..4).map(|_| table.choose(Policy::Turn, |_| 0).unwrap()).collect();
        assert_eq!(chosen, [1, 2, 1, 2]);
        assert!(table.absent(0, false).has_capacity());
    }

    #[test]
    fn taking_a_connection_gives_capacity_back() {
        let table = DispatchTable::new(1).unwrap();
        table.register(0, 0);
        table.set_wants_connection(true);
        (0..CHANNEL_CAPACITY).for_each(|_| table.passing(0));
        assert!(!table.any_has_capacity());
        assert!(table.state(0).can_be_taken_over());
        // The dispatcher is woken when the channel is empty, not each time a connection is taken.
        let told: Vec<_> = (0..CHANNEL_CAPACITY).map(|_| table.taken_by_itself(0)).collect();
        assert_eq!(told, [vec![false; CHANNEL_CAPACITY as usize - 1], vec![true]].concat());
        assert!(table.any_has_capacity());
        assert!(!table.state(0).can_be_taken_over());
        assert_eq!(table.taken(0), table.wants_connection());
        assert_eq!(table.state(0).queued(), 0, "never below zero");
    }

    #[test]
    fn the_channel_of_a_worker_that_was_woken_is_left_to_it() {
        assert!(!State(WAITS | 1).can_be_taken_over());
        assert!(State(WAITS | ABSENT | 1).can_be_taken_over(), "stopped while it waited");
        assert!(State(LEFT | 1).can_be_taken_over());
        assert!(State(1).can_be_taken_over());
        assert!(!State(0).can_be_taken_over());
    }
}
