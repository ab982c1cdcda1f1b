//! The events in the life of an instance, and random lives made of them.

use proptest::collection::vec;
use proptest::prelude::*;

/// The most workers a reload requests.
pub const MOST_WORKERS: usize = 8;

/// One event.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// SIGHUP with a configuration for this many workers.
    Reload(usize),
    /// SIGHUP with an invalid configuration.
    BadReload,
    /// SIGKILL to a child of the supervisor of any generation, even one that is starting or leaving.
    Kill(u8),
    /// The same after SIGSTOP, so that the supervisor sees both.
    StopAndKill(u8),
    /// SIGKILL to the auxiliary process of the strategy, if it has one.
    KillDispatcher(u8),
    /// SIGSTOP to a child.
    Stop(u8),
    /// SIGCONT to all stopped children.
    GoOn,
    /// The log is renamed, then SIGUSR1.
    Rotate,
    /// This many requests.
    Requests(usize),
    /// Half a request, which keeps its worker from exiting.
    Half,
    /// The other halves.
    OtherHalves,
}

/// What to wait for after an action.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Until nothing changes; then everything is compared with the model.
    Settle,
    /// This many microseconds.
    After(u64),
}

/// How the instance is stopped.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// SIGTERM.
    Stop,
    /// SIGTERM, and a second one after this many microseconds.
    StopTwice(u64),
    /// SIGQUIT.
    Quit,
}

/// The life of an instance.
#[derive(Clone, Debug)]
pub struct Life {
    pub steps: Vec<(Action, Then)>,
    pub end: End,
}

fn action() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        8 => (1..=MOST_WORKERS).prop_map(Reload),
        6 => Just(BadReload),
        4 => any::<u8>().prop_map(Kill),
        2 => any::<u8>().prop_map(StopAndKill),
        3 => any::<u8>().prop_map(KillDispatcher),
        3 => any::<u8>().prop_map(Stop),
        2 => Just(GoOn),
        1 => Just(Rotate),
        3 => (1..=12usize).prop_map(Requests),
        2 => Just(Half),
        1 => Just(OtherHalves),
    ]
}

/// An action and what to wait for. A reload is usually overtaken by the next action.
fn step() -> impl Strategy<Value = (Action, Then)> {
    let after = || (0..3000u64).prop_map(Then::After);
    action().prop_flat_map(move |action| {
        let reloads = matches!(action, Action::Reload(_) | Action::BadReload);
        let then = prop_oneof![1 => Just(Then::Settle), if reloads { 3 } else { 1 } => after()];
        (Just(action), then)
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![4 => Just(End::Stop), 1 => (0..300_000u64).prop_map(End::StopTwice), 1 => Just(End::Quit)]
}

/// A life of at most this many steps.
pub fn life(most: usize) -> impl Strategy<Value = Life> {
    (vec(step(), most / 2..=most), end()).prop_map(|(steps, end)| Life { steps, end })
}
