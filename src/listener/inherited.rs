//! `inherited`: one socket, inherited by all workers, each of which blocks in accept().
//!
//! Mechanism: a blocking accept() queues at the tail of the socket's wait queue and a connection wakes its head
//! (`inet_csk_wait_for_connect`, exclusive wait): the worker that has waited longest.
//! Promises: exact turn while workers are idle; work conservation (a busy worker does not wait, so it is not woken);
//! no loss on a crash (the others hold the same queue). One system call per connection.
//! Does not promise: a turn under load, when workers find the queue non-empty and do not wait at all.

use std::io;

use super::{Accepted, Acceptor, Entry, Seat, SocketCount, Spread, Strategy, socket};
use crate::scoreboard::{Row, add};
use crate::sys::signal::Interruptible;
use std::os::fd::AsFd;

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited",
    arguments: &[],
    sockets: SocketCount::One,
    spread: Spread::Turn,
    work_conserving: true,
    summary: "one socket, workers block in accept(): the longest-waiting one gets the next connection",
    open: |_, _| Ok(Box::new(Inherited)),
};

#[derive(Debug)]
struct Inherited;

impl Strategy for Inherited {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(Blocking { listener: Interruptible::new(seat.sockets[0].as_fd())? }))
    }
}

#[derive(Debug)]
struct Blocking {
    listener: Interruptible,
}

impl Acceptor for Blocking {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        let accepted = socket::accept(self.listener.as_fd());
        add(&row.wakeups, 1);
        accepted
    }
}
