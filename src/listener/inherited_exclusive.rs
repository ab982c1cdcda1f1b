//! `inherited-exclusive`: one socket in every worker's epoll, registered with EPOLLEXCLUSIVE.
//!
//! Mechanism: the kernel walks the socket's wait queue in the order of registration and wakes the first worker that sleeps
//! in epoll_wait (`ep_poll_callback` returns 1 only then, and ends the walk). A static list of priorities: *not* LIFO, as
//! often written, but first registered, first served. What nginx does since 1.11.3, and Unicorn.
//! Promises: work conservation, hardly any empty wake-up; no loss on a crash, since all hold the same queue. What had woken a
//! worker that is stopped before it accepts is passed on by the supervisor ([`Exclusive`]).
//! Does not promise any balance: the worker that registered first gets nearly everything for as long as it keeps up,
//! and at n connections at once the first n workers do the work. Its successor after a crash is the last in the list.

use super::watch::Exclusive;
use super::{Advice, Entry, Promises, Spread};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited-exclusive",
    promises: |_| Promises { spread: Spread::One, calls: &["epoll_wait", "accept4"], ..Promises::USUAL },
    batches: true,
    advice: |_| Advice {
        take: "a few busy workers with warm caches are better than many lukewarm ones",
        avoid: "connections have to be even over workers",
    },
    summary: "EPOLLEXCLUSIVE: the first in the order of registration that is idle",
    open: |_, _| Exclusive::open(0),
    ..Entry::USUAL
};
