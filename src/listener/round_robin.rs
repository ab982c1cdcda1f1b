//! `round-robin`: one socket; a turn passes from worker to worker in user space, without BPF and without a dispatcher.
//!
//! Mechanism: only the holder of the turn is in accept(). As soon as it has a connection it passes the turn on, before it
//! does the work, and an idle worker waits for its turn on an eventfd of its own. The turn is one word in shared memory
//! ([`Table::holder`]); it changes hands by compare-and-swap, so that at any time at most one worker is the holder, and the
//! eventfds only wake: a wake-up too many makes a worker look at the word again, nothing more.
//! `:skip` (default): the next worker that *waits* gets the turn; if none waits, the turn is free and the first to come
//! back takes it. `:wait`: the next worker in order gets it, busy or not.
//! Promises: exact turn, also while workers hold idle connections; `skip` conserves work, `wait` keeps the order at any price.
//! No loss on a crash: the socket is shared, and the supervisor passes on the turn of a worker that died or was stopped.
//! Cost: accept(), a write to wake the next, a read when one has to wait: about 0.7 context switches more per connection.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Accepted, Acceptor, Advice, Argument, Entry, Promises, Seat, Strategy, Wait, socket};
use crate::scoreboard::{Row, add};
use crate::sys::map::SharedMap;
use crate::sys::signal::{Interruptible, stopped};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "round-robin",
    argument: Argument::Word(&["skip", "wait"]),
    promises: |argument| Promises {
        busy: if argument == "skip" { Wait::Nothing } else { Wait::All },
        stopped: Wait::UpToMs(100),
        calls: &["read", "accept4", "write"],
        ..Promises::USUAL
    },
    advice: |argument| match argument {
        "wait" => Advice {
            take: "the order matters more than the waiting",
            avoid: "a worker may be busy or hang: all connections wait for it",
        },
        _ => Advice {
            take: "connections have to be even, also with work that does not show as busy",
            avoid: "context switches cost much where you run: it makes more of them",
        },
    },
    summary: "a turn passes in user space: the next worker; a busy one is skipped (`:skip`) or waited for (`:wait`)",
    open: |argument, workers| {
        Ok(Box::new(RoundRobin { table: Arc::new(Table::new(workers, argument == "skip")?) }))
    },
    ..Entry::USUAL
};

/// One cache-line pair per word: neighbours do not disturb each other.
const STRIDE: usize = 128;
/// The turn is free: any idle worker may take it.
const FREE: u64 = u64::MAX;
/// A worker that serves a connection: `skip` passes it over.
const BUSY: u64 = 0;
/// A worker that sleeps until it gets the turn, or is about to.
const WAITS: u64 = 1;
/// A worker that has left, died or was stopped: never gets the turn.
const AWAY: u64 = 2;

/// The shared state: the holder's word, a word per worker, and what wakes it.
#[derive(Debug)]
struct Table {
    map: SharedMap,
    wakers: Vec<EventFd>,
    skip: bool,
}

impl Table {
    fn new(workers: usize, skip: bool) -> io::Result<Self> {
        let wakers =
            (0..workers).map(|_| EventFd::from_flags(EfdFlags::EFD_CLOEXEC)).collect::<nix::Result<_>>()?;
        // The turn starts with worker 0: a fresh mapping is zeroed.
        Ok(Self { map: SharedMap::anonymous((workers + 1) * STRIDE)?, wakers, skip })
    }

    /// The worker that has the turn, or [`FREE`].
    fn holder(&self) -> &AtomicU64 {
        self.map.at(0)
    }

    /// What the worker says of itself: [`BUSY`], [`WAITS`] or [`AWAY`].
    fn word(&self, worker: usize) -> &AtomicU64 {
        self.map.at((worker + 1) * STRIDE)
    }

    /// Moves the turn if it is where the caller thinks it is.
    fn hand(&self, from: u64, to: u64) -> bool {
        self.holder().compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }

    fn wake(&self, worker: usize) {
        // It fails only when the counter is full, and then the worker is woken already.
        let _ = self.wakers[worker].write(1);
    }

    /// Whether the worker may be given the turn now.
    fn eligible(&self, worker: usize) -> bool {
        let word = self.word(worker).load(SeqCst);
        if self.skip { word == WAITS } else { word != AWAY }
    }

    /// Gives the turn of `from` to the next in order, or frees it. Does nothing if `from` does not have it.
    fn pass(&self, from: usize) {
        let workers = self.wakers.len();
        let mut order = (1..workers).map(|step| (from + step) % workers);
        match order.find(|&next| self.eligible(next)) {
            Some(next) if self.hand(from as u64, next as u64) => self.wake(next),
            Some(_) => {}
            None if self.hand(from as u64, FREE) => self.offer(),
            None => {}
        }
    }

    /// A worker may have begun to wait after it was looked at and before the turn was free: look once more.
    fn offer(&self) {
        let waiting = (0..self.wakers.len()).find(|&worker| self.word(worker).load(SeqCst) == WAITS);
        if let Some(worker) = waiting
            && self.hand(FREE, worker as u64)
        {
            self.wake(worker);
        }
    }

    /// The worker takes no more turns, and what it holds goes on.
    fn away(&self, worker: usize) {
        self.word(worker).store(AWAY, SeqCst);
        self.pass(worker);
    }
}

#[derive(Debug)]
struct RoundRobin {
    table: Arc<Table>,
}

impl Strategy for RoundRobin {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        self.table.word(seat.worker).store(BUSY, SeqCst);
        Ok(Box::new(Turn {
            table: Arc::clone(&self.table),
            me: seat.worker,
            listener: Interruptible::new(seat.sockets[0].as_fd())?,
            waker: Interruptible::new(self.table.wakers[seat.worker].as_fd())?,
        }))
    }

    fn gone(&self, worker: usize) {
        self.table.away(worker);
        // A stopped worker that goes on later finds this wake-up and announces itself again.
        self.table.wake(worker);
        // It may have died between passing the turn on and waking the next holder, or between freeing and offering it.
        match self.table.holder().load(SeqCst) {
            FREE => self.table.offer(),
            holder => self.table.wake(holder as usize),
        }
    }
}

/// A worker's part in the turn.
#[derive(Debug)]
struct Turn {
    table: Arc<Table>,
    me: usize,
    listener: Interruptible,
    waker: Interruptible,
}

impl Turn {
    /// Returns when this worker has the turn.
    fn await_turn(&self) -> io::Result<()> {
        let table = &self.table;
        let me = self.me as u64;
        loop {
            match table.holder().load(SeqCst) {
                holder if holder == me => break,
                FREE if table.hand(FREE, me) => break,
                FREE => {}
                _ => self.sleep()?,
            }
        }
        table.word(self.me).store(BUSY, SeqCst);
        Ok(())
    }

    /// Announces this worker, looks once more, and sleeps until it is woken.
    fn sleep(&self) -> io::Result<()> {
        if self.table.word(self.me).swap(WAITS, SeqCst) != WAITS {
            // The turn may have become free before another worker could see that we wait.
            return Ok(());
        }
        let mut count = [0u8; 8];
        nix::unistd::read(self.waker.as_fd(), &mut count)?;
        if stopped() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl Acceptor for Turn {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        self.await_turn()?;
        let accepted = socket::accept(self.listener.as_fd());
        add(&row.wakeups, 1);
        // A worker that cannot accept now (no descriptors left, say) does not keep the turn from the others.
        if !matches!(&accepted, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
            self.table.pass(self.me);
        }
        accepted
    }

    fn leave(&mut self, _row: &Row) -> Vec<Accepted> {
        self.table.away(self.me);
        // Another worker may have seen us wait and passed us the turn meanwhile.
        self.table.pass(self.me);
        Vec::new()
    }
}
