//! `inherited-delay`: as `inherited`, but a worker that has work joins the queue the later, the more it has.
//!
//! Mechanism: Puma's `cluster_accept_loop_delay.rb`. There a worker sleeps for 5 ms x busy / (25 x threads), 5 ms at most,
//! before it accepts, so that a less busy one is faster. Its workers race for a connection that has come already; ours sleep
//! *before* they wait in accept(), because a worker that was woken must take what woke it. Busy are the connections that
//! the worker holds ([`Row::open`]) and its handlers that run ([`Row::running`], counted for this strategy); a worker here
//! takes one connection at a time, which is one thread of Puma's: 0.2 ms for each, and 5 ms from 25 on.
//! Promises: exact turn while workers are idle or equally busy; work conservation but for the delay itself; no loss on a
//! crash. Cost: one system call, two when it has work; and the keeper, which counts handlers.
//! Does not promise to look at the others: when all are busy all sleep, and what comes waits up to 5 ms for nothing.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::poll::ppoll;

use super::socket::Blocking;
use super::{Accepted, Acceptor, Advice, Entry, Promises, Seat, Strategy, Wait};
use crate::scoreboard::Row;

/// The longest delay.
const LONGEST: Duration = Duration::from_millis(5);
/// So much work at once earns it.
const OVERLOAD: u64 = 25;

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited-delay",
    promises: |_| Promises { busy: Wait::UpToMs(5), ..Promises::USUAL },
    counts_handlers: true,
    advice: |_| Advice {
        take: "a worker that holds connections or handlers is to come after one that holds none",
        avoid: "all workers are busy: a connection may wait 5 ms for nothing",
    },
    summary: "a worker with work joins the queue later, by 0.2 ms for each connection or handler it has, up to 5 ms",
    open: |_, _| Ok(Box::new(Delay)),
    ..Entry::USUAL
};

#[derive(Debug)]
struct Delay;

impl Strategy for Delay {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(Delayed(Blocking::acceptor(seat.sockets[0].as_fd())?)))
    }
}

#[derive(Debug)]
struct Delayed(Box<dyn Acceptor>);

/// How long a worker with so much work stays away.
fn delay(busy: u64) -> Duration {
    LONGEST * u32::try_from(busy.min(OVERLOAD)).unwrap_or(0) / OVERLOAD as u32
}

impl Acceptor for Delayed {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        let busy = row.open.load(Relaxed) + row.running.load(Relaxed) + row.pending();
        if busy > 0 {
            // A signal ends the sleep; one that comes just before is noticed at its end.
            let _ = ppoll(&mut [], Some(delay(busy).into()), None);
        }
        self.0.accept(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_pumas() {
        let us = |busy| delay(busy).as_micros();
        assert_eq!([us(0), us(1), us(5), us(25), us(1000)], [0, 200, 1000, 5000, 5000]);
    }
}
