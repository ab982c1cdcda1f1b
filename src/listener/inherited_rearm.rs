//! `inherited-rearm`: as `inherited-exclusive`, but a worker goes to the end of the list after every N connections.
//!
//! Mechanism: EPOLL_CTL_DEL and EPOLL_CTL_ADD before the wait put the registration at the tail of the socket's wait queue.
//! With N = 1 it is the queue of blocking accept() again: the worker that has waited longest. nginx does it since 1.21.6
//! with N = 16 (commit 96c342e56). ADD looks at the queue at once, so that no connection is missed in between.
//! Promises: with N = 1 an exact turn while workers are idle, with more a turn of N at a time; work conservation; no loss
//! on a crash. Cost: two system calls more after every N-th connection.
//! Does not promise a turn under load, when a worker finds the queue non-empty and does not wait.

use std::io;

use super::watch::Exclusive;
use super::{Advice, Argument, Entry, Promises, Spread};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited-rearm",
    argument: Argument::Number { least: 1, most: 1_000_000, examples: &["1", "16"] },
    promises: |every| Promises {
        spread: if every == "1" { Spread::Turn } else { Spread::Programmed },
        calls: if every == "1" {
            &["epoll_ctl", "epoll_ctl", "epoll_wait", "accept4"]
        } else {
            &["epoll_wait", "accept4"]
        },
        ..Promises::USUAL
    },
    batches: true,
    advice: |_| Advice {
        take: "you want the even spread of nginx, with epoll",
        avoid: "system calls cost much where you run: it makes up to four for a connection",
    },
    summary: "EPOLLEXCLUSIVE, registered anew after every N connections (1): the one that has waited longest",
    open: |every, _| Exclusive::open(every.parse().map_err(io::Error::other)?),
    ..Entry::USUAL
};
