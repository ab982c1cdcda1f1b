//! `least-loaded`: a dispatcher process accepts and passes each connection to the idle worker that holds the fewest.
//!
//! Mechanism: [`super::dispatcher`]; what a worker holds is its scoreboard row's `open` (half-read, kept alive, being served)
//! and what is on its way to it. Seastar's sharded listener does the same and is uneven (seastar#3514), for two reasons that are avoided
//! here: ties go to the lowest index, while ours go round; and a close is counted late, by a message to the dispatcher, while
//! ours is counted by the worker in shared memory before the client can see it. `:first` gives ties to the lowest number, for comparison.
//! Promises: as `dispatch`, with the fewest open in place of the turn; with nothing held it *is* the turn.
//! An idle worker comes before a busy one that holds less. Running handlers are not counted: a worker does not wait for them.
//! Cost: as `dispatch`.

use super::dispatcher::{DISPATCHER, Dispatching, PROMISES, dispatch_table::Policy};
use super::{Advice, Argument, Entry, Promises, Spread};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "least-loaded",
    argument: Argument::Word(&["rotate", "first"]),
    promises: |argument| Promises {
        spread: if argument == "first" { Spread::One } else { Spread::Turn },
        ..PROMISES
    },
    auxiliary: Some(DISPATCHER),
    advice: |argument| match argument {
        "first" => Advice {
            take: "you compare with servers that give ties to the lowest number",
            avoid: "connections have to be even over idle workers",
        },
        _ => Advice {
            take: "connections stay open for different times, and each worker is to hold as many as the others",
            avoid: "one process that accepts for all would be the limit",
        },
    },
    summary: "a dispatcher process accepts, and passes to the idle worker with the fewest open; ties go round (`:rotate`) or to the lowest number (`:first`)",
    open: |argument, workers| {
        let policy = if argument == "first" { Policy::FewestOpenFirst } else { Policy::FewestOpen };
        Dispatching::open(policy, workers)
    },
    ..Entry::USUAL
};
