//! `inherited-mutex`: one socket, and only the holder of a lock waits for connections (nginx's `accept_mutex`).
//!
//! Mechanism: a word in shared memory. A worker tries the lock before it waits. With it, it waits in epoll on the socket,
//! accepts, lets the lock go, and serves. Without it, it sleeps and tries again after
//! 500 ms (nginx's `accept_mutex_delay`). No worker is woken when the lock becomes free. nginx had it on until 1.11.3 and
//! turned it off because "in various benchmarks it often results in situation where only one worker grabs all connections"
//! (46dd747c9): the first worker that is done takes the lock again while the others sleep.
//! Promises: no herd; no loss on a crash. A lock whose holder died, was stopped or left goes back to all of them
//! ([`Strategy::gone`]); a stopped holder that goes on finds that out when it lets go, and until then two wait, which
//! does no harm on a non-blocking socket.
//! Does not promise balance, nor work conservation: while the last holder is busy a connection waits until another worker
//! tries again, for 500 ms at most. Each worker without the lock wakes up twice a second for nothing.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::watch::{ALL, Watch};
use super::{Accepted, Acceptor, Advice, Entry, Promises, Seat, Spread, Strategy, Wait};
use crate::scoreboard::{Row, add};
use crate::sys::map::SharedMap;

/// When a worker without the lock tries again.
const RETRY_MS: i32 = 500;
/// No worker holds the lock. Worker n is n + 1.
const FREE: u64 = 0;

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "inherited-mutex",
    promises: |_| Promises {
        spread: Spread::One,
        busy: Wait::UpToMs(RETRY_MS as u32),
        stopped: Wait::UpToMs(RETRY_MS as u32),
        calls: &["epoll_wait", "accept4"],
        ..Promises::USUAL
    },
    batches: true,
    advice: |_| Advice {
        take: "you compare with nginx's accept_mutex",
        avoid: "workers may be busy: a connection waits up to 500 ms for another one",
    },
    summary: "the holder of a lock waits and accepts; the others try again every 500 ms",
    open: |_, _| Ok(Box::new(Mutex { lock: Arc::new(Lock(SharedMap::anonymous(size_of::<AtomicU64>())?)) })),
    ..Entry::USUAL
};

#[derive(Debug)]
struct Mutex {
    lock: Arc<Lock>,
}

/// The word. A fresh mapping is zeroed: free.
#[derive(Debug)]
struct Lock(SharedMap);

impl Lock {
    fn swap(&self, from: u64, to: u64) -> bool {
        self.0.at::<AtomicU64>(0).compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }

    /// Takes the lock if it is free.
    fn take(&self, worker: usize) -> bool {
        self.swap(FREE, worker as u64 + 1)
    }

    /// Lets go of the lock, if it still is this worker's.
    fn release(&self, worker: usize) {
        self.swap(worker as u64 + 1, FREE);
    }
}

impl Strategy for Mutex {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        let watch = Watch::new(seat.sockets[0].as_fd(), ALL)?;
        Ok(Box::new(Contender { lock: Arc::clone(&self.lock), me: seat.worker, watch, watching: false }))
    }

    fn gone(&self, worker: usize) {
        self.lock.release(worker);
    }
}

/// A worker that wants the lock.
#[derive(Debug)]
struct Contender {
    lock: Arc<Lock>,
    me: usize,
    watch: Watch,
    /// Whether the socket is in the epoll instance: only with the lock, and kept there while the same worker gets it again.
    watching: bool,
}

impl Contender {
    /// Waits with the lock for a connection, or without it until it is worth another try. `None` for nothing yet.
    fn try_accept(&mut self, row: &Row) -> io::Result<Option<Accepted>> {
        let holds = self.lock.take(self.me);
        if holds != self.watching {
            if holds { self.watch.add() } else { self.watch.remove() }?;
            self.watching = holds;
        }
        let came = self.watch.wait(if holds { -1 } else { RETRY_MS })?;
        add(&row.wakeups, 1);
        if came { self.watch.take() } else { Ok(None) }
    }
}

impl Acceptor for Contender {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        loop {
            let accepted = self.try_accept(row);
            self.lock.release(self.me);
            match accepted? {
                Some(accepted) => return Ok(accepted),
                None => add(&row.empty_wakeups, 1),
            }
        }
    }

    fn more(&mut self, _row: &Row) -> io::Result<Option<Accepted>> {
        self.watch.take()
    }

    fn leave(&mut self, _row: &Row) -> Vec<Accepted> {
        self.lock.release(self.me);
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holders_release_frees_the_lock() {
        let lock = Lock(SharedMap::anonymous(8).unwrap());
        assert!(lock.take(3) && !lock.take(1));
        lock.release(1);
        assert!(!lock.take(1));
        lock.release(3);
        assert!(lock.take(1));
    }
}
