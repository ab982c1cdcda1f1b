//! `inherited-herd`: one socket in every worker's epoll, and every connection wakes every worker that waits.
//!
//! Mechanism: plain EPOLLIN on a non-blocking socket. Waiters are not exclusive, so the kernel wakes them all (the newest
//! registration first, `ep_ptable_queue_proc`), and they race for accept4(). What servers did before EPOLLEXCLUSIVE (Linux
//! 4.5): uWSGI without its thunder lock, nginx with `accept_mutex off` before 1.11.3, Node's shared handles.
//! Promises: work conservation; no loss on a crash, since all hold the same queue.
//! Does not promise any order, and pays for each connection with an empty wake-up of every other idle worker: the CPU
//! that goes there is the thundering herd, and it grows with the number of workers.

use std::os::fd::AsFd;

use super::watch::{ALL, Watching};
use super::{Advice, Entry, Promises, Spread, Stateless};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited-herd",
    promises: |_| Promises { spread: Spread::Race, calls: &["epoll_wait", "accept4"], ..Promises::USUAL },
    batches: true,
    advice: |_| Advice {
        take: "you compare with servers from before EPOLLEXCLUSIVE",
        avoid: "workers are many: each connection wakes all that wait",
    },
    summary: "plain epoll: all who wait are woken, the fastest accepts",
    open: |_, _| Ok(Box::new(Stateless(|seat| Watching::acceptor(seat.sockets[0].as_fd(), ALL)))),
    ..Entry::USUAL
};
