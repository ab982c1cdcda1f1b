//! `inherited`: one socket, inherited by all workers, each of which blocks in accept().
//!
//! Mechanism: a blocking accept() queues at the tail of the socket's wait queue and a connection wakes its head
//! (`inet_csk_wait_for_connect`, exclusive wait): the worker that has waited longest.
//! Promises: exact turn while workers are idle; work conservation (a busy worker does not wait, so it is not woken);
//! no loss on a crash (the others hold the same queue). One system call per connection.
//! Does not promise: a turn under load, when workers find the queue non-empty and do not wait at all.

use std::os::fd::AsFd;

use super::socket::Blocking;
use super::{Advice, Entry, Stateless};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited",
    advice: |_| Advice {
        take: "you have no reason for another one: requests may differ in length, workers may hang and crash",
        avoid: "many cores make one accept queue the limit",
    },
    summary: "workers block in accept(): the one that has waited longest",
    open: |_, _| Ok(Box::new(Stateless(|seat| Blocking::acceptor(seat.sockets[0].as_fd())))),
    ..Entry::USUAL
};
