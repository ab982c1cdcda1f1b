//! The desk: what the dispatcher and the workers know of one another, in shared memory, and who gets the next connection.
//!
//! One word per worker: how many connections were passed to it that nobody has taken yet, and three marks. It changes by
//! atomic operations only, so that whoever dies in the middle leaves a word that others can go on with. All decisions are
//! pure functions on such words ([`pick`], [`State`]); this file makes no system call.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::sys::map::SharedMap;

/// This many connections at most wait in a worker's channel: enough that a worker which has just finished finds the next one
/// without a turn of the dispatcher, and few enough that what a stuck worker is owed is soon taken by others.
pub const ROOM: u64 = 2;

/// Sleeps until something comes through its channel, or is about to.
const WAITS: u64 = 1 << 32;
/// Not (yet, or any more) there: dead, or stopped. Said by the supervisor, and unsaid by it or by a successor.
const ABSENT: u64 = 1 << 33;
/// Takes no more; what it has, it finishes.
const LEFT: u64 = 1 << 34;
const QUEUED: u64 = u32::MAX as u64;

/// A worker's word, as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u64);

impl State {
    /// Connections that were passed to it and not taken.
    pub fn queued(self) -> u64 {
        self.0 & QUEUED
    }

    /// Neither dead nor stopped, and has not left.
    pub fn is_there(self) -> bool {
        self.0 & (ABSENT | LEFT) == 0
    }

    /// Sleeps, and nothing is on the way to it.
    pub fn is_idle(self) -> bool {
        self.is_there() && self.0 & WAITS != 0 && self.queued() == 0
    }

    /// Will take a connection that is passed to it, sooner or later.
    pub fn has_room(self) -> bool {
        self.is_there() && self.queued() < ROOM
    }

    /// What waits in its channel is being seen to by itself: it is awake for it, or about to be.
    pub fn is_coming(self) -> bool {
        self.is_there() && self.0 & WAITS != 0
    }

    /// Something waits in its channel that an idle worker may take.
    pub fn can_be_relieved(self) -> bool {
        self.queued() > 0 && !self.is_coming()
    }

    /// One connection less; never below zero, since a death can leave a count too small.
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

/// The worker that gets the next connection: an idle one, else one with room; `None` when there is neither. `open` tells
/// how many connections a worker holds, and is asked only by policies that count them. `turn` is whose turn it is.
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
    best(State::is_idle).or_else(|| best(State::has_room))
}

/// The shared memory.
#[derive(Debug)]
pub struct Desk {
    map: SharedMap,
    workers: usize,
}

const WORD: usize = size_of::<u64>();
/// The words lie close together, since the dispatcher looks at all of them for each connection.
const FIRST_WORD: usize = 128;

impl Desk {
    /// A desk at which nobody sits yet.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(workers: usize) -> io::Result<Self> {
        let desk = Self { map: SharedMap::anonymous(FIRST_WORD + workers * WORD)?, workers };
        (0..workers).for_each(|worker| desk.word(worker).store(ABSENT, SeqCst));
        Ok(desk)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Whose turn it is. Shared, so that a dispatcher's successor goes on where it ended.
    fn turn(&self) -> &AtomicU64 {
        self.map.at(0)
    }

    /// 1 while the dispatcher sleeps until somebody has room.
    fn hungry(&self) -> &AtomicU64 {
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

    /// A worker's word.
    pub fn state(&self, worker: usize) -> State {
        State(self.word(worker).load(SeqCst))
    }

    /// All words, by the workers' numbers.
    pub fn states(&self) -> impl Iterator<Item = State> + Clone {
        (0..self.workers).map(|worker| self.state(worker))
    }

    /// A worker that is idle.
    pub fn idle(&self) -> Option<usize> {
        (0..self.workers).find(|&worker| self.state(worker).is_idle())
    }

    /// Who gets the next connection ([`pick`]); the turn moves on.
    pub fn choose(&self, policy: Policy, open: impl Fn(usize) -> u64) -> Option<usize> {
        let turn = usize::try_from(self.turn().load(SeqCst)).unwrap_or(0);
        let chosen = pick(policy, self.states(), open, turn)?;
        self.turn_after(chosen);
        Some(chosen)
    }

    /// Who gets a connection when nobody is free: it is in the dispatcher's hand and must not stay there.
    pub fn anybody(&self) -> usize {
        let chosen = usize::try_from(self.turn().load(SeqCst)).unwrap_or(0) % self.workers;
        self.turn_after(chosen);
        chosen
    }

    fn turn_after(&self, worker: usize) {
        self.turn().store(((worker + 1) % self.workers) as u64, SeqCst);
    }

    /// Whether anybody could be passed a connection.
    pub fn anyone_free(&self) -> bool {
        self.states().any(State::has_room)
    }

    /// A connection is about to be passed to the worker.
    pub fn passing(&self, worker: usize) {
        self.word(worker).fetch_add(1, SeqCst);
    }

    /// A connection was taken from the worker's channel, or could not be passed. Whether the dispatcher should be told.
    pub fn taken(&self, worker: usize) -> bool {
        let before = self.change(worker, State::less_one);
        before.queued() <= 1 && self.is_hungry()
    }

    /// As [`Self::taken`], by the worker itself, which now has something to do.
    pub fn taken_by_owner(&self, worker: usize) -> bool {
        let before = self.change(worker, |state| State(state.less_one().0 & !WAITS));
        before.queued() <= 1 && self.is_hungry()
    }

    /// The worker is about to sleep, or no longer. Whether the dispatcher should be told.
    pub fn waits(&self, worker: usize, waits: bool) -> bool {
        if waits {
            self.word(worker).fetch_or(WAITS, SeqCst);
        } else {
            self.word(worker).fetch_and(!WAITS, SeqCst);
        }
        waits && self.is_hungry()
    }

    /// The worker is there, new or again, and this many connections wait for it. Whether the dispatcher should be told.
    pub fn sits_down(&self, worker: usize, queued: u64) -> bool {
        self.word(worker).store(queued, SeqCst);
        self.is_hungry()
    }

    /// This many connections wait for the worker, as it has found out.
    pub fn recounted(&self, worker: usize, queued: u64) {
        self.change(worker, |state| State(state.0 & !QUEUED | queued));
    }

    /// The worker takes no more.
    pub fn leaves(&self, worker: usize) {
        self.change(worker, |state| State(state.0 & !WAITS | LEFT));
    }

    /// The worker is dead or stopped, or no longer so. Its state after that.
    pub fn absent(&self, worker: usize, absent: bool) -> State {
        let word = self.word(worker);
        if absent {
            State(word.fetch_or(ABSENT, SeqCst) | ABSENT)
        } else {
            State(word.fetch_and(!ABSENT, SeqCst) & !ABSENT)
        }
    }

    /// The dispatcher is about to sleep until somebody has room, or no longer.
    pub fn set_hungry(&self, hungry: bool) {
        self.hungry().store(u64::from(hungry), SeqCst);
    }

    /// Whether the dispatcher sleeps until somebody has room.
    pub fn is_hungry(&self) -> bool {
        self.hungry().load(SeqCst) != 0
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
    fn a_busy_worker_is_picked_only_when_nobody_is_idle_and_only_while_it_has_room() {
        assert_eq!(choose(Policy::Turn, &[BUSY, BUSY, IDLE], &[0; 3], 0), Some(2));
        assert_eq!(choose(Policy::Turn, &[queued(ROOM), BUSY, BUSY], &[0; 3], 0), Some(1));
        assert_eq!(choose(Policy::Turn, &[queued(ROOM), queued(ROOM)], &[0; 2], 0), None);
        // Woken, but not yet there: what it was passed is on the way, so it is not idle twice.
        assert_eq!(choose(Policy::Turn, &[State(WAITS | 1), IDLE], &[0; 2], 0), Some(1));
    }

    #[test]
    fn nobody_who_is_absent_or_has_left_is_picked() {
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
        let desk = Desk::new(3).unwrap();
        assert_eq!(desk.choose(Policy::Turn, |_| 0), None, "nobody sits there yet");
        (0..3).for_each(|worker| assert!(!desk.sits_down(worker, 0)));
        let chosen: Vec<_> = (0..6).map(|_| desk.choose(Policy::Turn, |_| 0).unwrap()).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
        desk.absent(0, true);
        let chosen: Vec<_> = (0..4).map(|_| desk.choose(Policy::Turn, |_| 0).unwrap()).collect();
        assert_eq!(chosen, [1, 2, 1, 2]);
        assert!(desk.absent(0, false).has_room());
    }

    #[test]
    fn room_is_a_credit_that_taking_gives_back() {
        let desk = Desk::new(1).unwrap();
        desk.sits_down(0, 0);
        desk.set_hungry(true);
        (0..ROOM).for_each(|_| desk.passing(0));
        assert!(!desk.anyone_free());
        assert!(desk.state(0).can_be_relieved());
        // The dispatcher is told when the channel is empty, not each time that there is room.
        let told: Vec<_> = (0..ROOM).map(|_| desk.taken_by_owner(0)).collect();
        assert_eq!(told, [vec![false; ROOM as usize - 1], vec![true]].concat());
        assert!(desk.anyone_free());
        assert!(!desk.state(0).can_be_relieved());
        assert_eq!(desk.taken(0), desk.is_hungry());
        assert_eq!(desk.state(0).queued(), 0, "never below zero");
    }

    #[test]
    fn what_waits_for_one_who_is_on_the_way_is_left_to_him() {
        assert!(!State(WAITS | 1).can_be_relieved());
        assert!(State(WAITS | ABSENT | 1).can_be_relieved(), "stopped while it waited");
        assert!(State(LEFT | 1).can_be_relieved());
        assert!(State(1).can_be_relieved());
        assert!(!State(0).can_be_relieved());
    }
}
