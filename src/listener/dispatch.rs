//! `dispatch`: a dispatcher process accepts and passes each connection to the next worker in turn.
//!
//! Mechanism: [`super::dispatcher`]; Node's cluster module does so since 0.12 (`round_robin_handle.js`), there with the primary as
//! the dispatcher. Ours is a process of its own, so that the supervisor never touches a connection.
//! Promises: exact turn over idle workers, at any number of them; work conservation; no connection that waits is lost when a worker or
//! the dispatcher dies, is stopped or leaves. What a killed dispatcher has in hand between accept() and sendmsg() goes with it.
//! Does not promise: a turn under load, when a busy worker is passed over. One process accepts for all, which is the limit
//! on many cores. Cost: accept(), sendmsg() and recvmsg(), and one process switch more per connection.

use super::dispatcher::{DISPATCHER, Dispatching, PROMISES, dispatch_table::Policy};
use super::{Advice, Entry};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "dispatch",
    promises: |_| PROMISES,
    auxiliary: Some(DISPATCHER),
    advice: |_| Advice {
        take: "you want an exact turn that does not rely on the workers' own counts",
        avoid: "one process that accepts for all would be the limit",
    },
    summary: "a dispatcher process accepts, and passes descriptors to the workers in turn",
    open: |_, workers| Dispatching::open(Policy::Turn, workers),
    ..Entry::USUAL
};
