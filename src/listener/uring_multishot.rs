//! `uring-multishot`: one socket; every worker arms one accept in io_uring that goes on delivering (multishot).
//!
//! Mechanism: IORING_ACCEPT_MULTISHOT (Linux 5.19) keeps its exclusive entry in the socket's wait queue where it was armed, and
//! that entry counts as awake whatever its worker does. So the first ring gets *every* connection, also while its worker is
//! busy or stopped; the kernel goes on accepting for it. We found this documented nowhere (research notes; liburing#850 only
//! says not to share rings). Two system calls per connection (io_uring_enter, getpeername), fewer when several came at once.
//! Promises: nearly all on the worker that was first; one that leaves serves what had been accepted for it
//! and what waits just then, since no other worker was woken for it.
//! Does not promise work conservation: all wait for the first worker. A crash resets what the kernel had accepted for it
//! and it had not looked at. A ring holds 16 results; with the next the kernel ends the accept, and what is left in the queue waits
//! until that worker arms another, also while others sleep. After SIGKILL the kernel takes a ring apart in the background, and
//! its entry stays in the wait queue until then: a connection that arrives meanwhile can wake this entry and no other, and then
//! waits, not lost, until another connection comes. For study: on a shared socket it is the wrong tool.

use super::uring::{Ring, probe};
use super::{Advice, Entry, Loss, Promises, Spread, Stateless, Wait};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "uring-multishot",
    promises: |_| Promises {
        spread: Spread::One,
        busy: Wait::All,
        stopped: Wait::All,
        crash: Loss::Accepted,
        calls: &["io_uring_enter", "getpeername"],
        ..Promises::USUAL
    },
    batches: true,
    advice: |_| Advice {
        take: "you study it",
        avoid: "you want anything else: all connections wait for the worker that was first",
    },
    summary: "io_uring, one accept that goes on delivering: the ring that was first",
    available: |_| probe(true),
    open: |_, _| Ok(Box::new(Stateless(|seat| Ring::acceptor(&seat, true)))),
    ..Entry::USUAL
};
