//! `reuseport-steal`: one socket per worker, and an idle worker takes what a busy owner leaves.
//!
//! Mechanism: a reuseport group, all sockets held by all. Each worker has its own socket in its epoll instance, and behind it
//! those of its siblings, all with EPOLLEXCLUSIVE. The kernel walks a socket's wait queue in the order of registration and
//! wakes the first that sleeps in epoll_wait; so if the owner is registered before its thieves, that is *the owner if it is
//! idle, else an idle thief*. An arrival that finds everybody busy leaves its event with each of them, and the first
//! to come back takes it: also what was queued before its owner got stuck. In no system that we know; no BPF.
//!
//! The order is kept by a count per worker ([`Marks`]): a thief registers a sibling's socket only after the sibling has,
//! and anew when its successor has (which comes last in the wait queue, behind its own thieves).
//!
//! Promises: the hash's locality while owners are idle; work conservation; no loss on a crash. One connection can escape that:
//! whose wake-up went to a worker that was stopped or died just then. The supervisor sees that and has a thief look
//! ([`Strategy::gone`]), within 100 ms. A worker that something else holds up between the wake-up and accept() (a debugger, no
//! processor for it) keeps this one connection until others have taken [`LOOK_AROUND`] more. Nothing here ticks.
//! Does not promise locality under load: on busy processors an owner that waits for one is not idle to the kernel.
//! Cost: epoll_wait and accept4; one accept4 alone while connections wait, which a worker finds out by trying, the less often
//! the more often in vain ([`MOST_SKIPPED`]). Each arrival at a busy owner passes along its
//! waiting thieves; so with more than [`ALL`] workers a worker steals from the next [`SOME`] only.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{
    Accepted, Acceptor, Advice, Entry, Loss, Promises, Seat, SocketCount, Spread, Strategy, Wait, socket,
    watch,
};
use crate::scoreboard::{Row, add};
use crate::sys::map::SharedMap;
use crate::sys::net;
use crate::sys::signal::{Interruptible, stopped};

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "reuseport-steal",
    sockets: |_| SocketCount::PerWorker,
    promises: |_| Promises {
        spread: Spread::Hash,
        busy: Wait::Nothing,
        stopped: Wait::UpToMs(100),
        crash: Loss::Nothing,
        leave: Loss::Nothing,
        calls: &["epoll_wait", "accept4"],
    },
    advice: |_| Advice {
        take: "one accept queue is the limit, and requests differ in length",
        avoid: "a worker has to keep its share of the connections under load",
    },
    summary: "the kernel's hash decides; if that worker is busy, an idle one takes it",
    open: |_, workers| Ok(Box::new(Stealing { shared: Arc::new(Shared::new(workers)?) })),
    ..Entry::USUAL
};

/// With up to this many workers each steals from all others...
const ALL: usize = 64;
/// ...with more, from this many that come after it.
const SOME: usize = 8;
/// After this many connections a worker looks at all queues that it may take from, although its own has more.
const LOOK_AROUND: u32 = 16;
/// A worker that finds its own queue empty waits at once this many times at most before it tries again without waiting: an
/// accept4 that fails costs as much as one that does not.
const MOST_SKIPPED: u32 = 63;
/// What the bell's events carry; others carry the index of a socket.
const BELL: u64 = u64::MAX;

/// How many siblings a worker steals from.
fn reach(workers: usize) -> usize {
    if workers <= ALL { workers - 1 } else { SOME }
}

/// Whom a worker steals from, the nearest first.
fn victims(me: usize, workers: usize) -> impl Iterator<Item = usize> {
    (1..=reach(workers)).map(move |step| (me + step) % workers)
}

/// Who steals from a worker.
fn thieves(of: usize, workers: usize) -> impl Iterator<Item = usize> {
    (1..=reach(workers)).map(move |step| (of + workers - step) % workers)
}

/// What workers tell one another in shared memory.
#[derive(Debug)]
struct Marks {
    map: SharedMap,
}

impl Marks {
    const STRIDE: usize = 128;

    fn new(workers: usize) -> io::Result<Self> {
        Ok(Self { map: SharedMap::anonymous((workers + 1) * Self::STRIDE)? })
    }

    /// How often any worker has registered its own sockets.
    fn changes(&self) -> &AtomicU64 {
        self.map.at(0)
    }

    /// How often this worker has: 0 before its first start.
    fn registered(&self, worker: usize) -> &AtomicU64 {
        self.map.at((worker + 1) * Self::STRIDE)
    }

    /// 1 while the worker sleeps, or is about to.
    fn waits(&self, worker: usize) -> &AtomicU64 {
        self.map.at((worker + 1) * Self::STRIDE + size_of::<u64>())
    }
}

#[derive(Debug)]
struct Shared {
    marks: Marks,
    /// One per worker: wakes it to look at what has changed, and at all queues.
    bells: Vec<EventFd>,
}

impl Shared {
    fn new(workers: usize) -> io::Result<Self> {
        let bells = (0..workers).map(|_| EventFd::from_flags(EfdFlags::EFD_CLOEXEC));
        Ok(Self { marks: Marks::new(workers)?, bells: bells.collect::<nix::Result<_>>()? })
    }

    fn ring(&self, worker: usize) {
        // It fails only when the counter is full, which edge-triggered waiters do not mind.
        let _ = self.bells[worker].write(1);
    }
}

#[derive(Debug)]
struct Stealing {
    shared: Arc<Shared>,
}

impl Strategy for Stealing {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(Thief::new(Arc::clone(&self.shared), &seat)?))
    }

    fn gone(&self, worker: usize) {
        let Shared { marks, bells } = &*self.shared;
        marks.waits(worker).store(0, SeqCst);
        let waiting = thieves(worker, bells.len()).find(|&thief| marks.waits(thief).load(SeqCst) != 0);
        match waiting {
            Some(thief) => self.shared.ring(thief),
            None => thieves(worker, bells.len()).for_each(|thief| self.shared.ring(thief)),
        }
    }
}

/// A socket that a worker may take from.
#[derive(Debug)]
struct Place {
    socket: OwnedFd,
    owner: usize,
    /// The owner's count of registrations when this worker registered behind it; 0 before.
    behind: u64,
    /// It was shut down, and is left out.
    is_shut: bool,
}

/// The worker's side.
#[derive(Debug)]
struct Thief {
    shared: Arc<Shared>,
    me: usize,
    epoll: Epoll,
    alias: Interruptible,
    /// Its own first.
    places: Vec<Place>,
    own: usize,
    /// Changes that it has taken note of.
    seen: u64,
    /// Connections since it looked around.
    since: u32,
    /// Times that it will wait at once, because looking into its own queue first was in vain.
    skip: u32,
    /// How often it skips after the next look in vain.
    misses: u32,
    /// Where it looks first, so that no queue is always the last.
    first: usize,
}

impl Thief {
    fn new(shared: Arc<Shared>, seat: &Seat<'_>) -> io::Result<Self> {
        let (me, workers) = (seat.worker, seat.workers);
        let mut places = Vec::new();
        for owner in std::iter::once(me).chain(victims(me, workers)) {
            // After a reload there may be more sockets than workers.
            for socket in seat.sockets.iter().skip(owner).step_by(workers) {
                net::set_nonblocking(socket.as_fd(), true)?;
                places.push(Place { socket: socket.try_clone()?, owner, behind: 0, is_shut: false });
            }
        }
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&shared.bells[me], EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, BELL))?;
        let alias = Interruptible::new(epoll.0.as_fd())?;
        let own = places.iter().take_while(|place| place.owner == me).count();
        let mut thief =
            Self { shared, me, epoll, alias, places, own, seen: 0, since: 0, skip: 0, misses: 0, first: 0 };
        thief.begin(workers)?;
        Ok(thief)
    }

    /// Registers its own sockets, has its thieves register theirs behind them, and steals from those that are there.
    fn begin(&mut self, workers: usize) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let count = shared.marks.registered(self.me).load(SeqCst) + 1;
        (0..self.own).try_for_each(|index| self.register(index, count))?;
        shared.marks.registered(self.me).store(count, SeqCst);
        shared.marks.changes().fetch_add(1, SeqCst);
        thieves(self.me, workers).for_each(|thief| shared.ring(thief));
        self.keep_order()
    }

    /// Registers a socket, or registers it anew: at the end of its wait queue.
    fn register(&mut self, index: usize, behind: u64) -> io::Result<()> {
        let place = &mut self.places[index];
        if place.behind != 0 {
            self.epoll.delete(&place.socket)?;
        }
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        self.epoll.add(&place.socket, EpollEvent::new(flags, index as u64))?;
        place.behind = behind;
        Ok(())
    }

    /// Goes behind every owner that has registered since the last time.
    fn keep_order(&mut self) -> io::Result<()> {
        let changes = self.shared.marks.changes().load(SeqCst);
        if changes == self.seen {
            return Ok(());
        }
        for index in self.own..self.places.len() {
            let Place { owner, behind, is_shut, .. } = self.places[index];
            let registered = self.shared.marks.registered(owner).load(SeqCst);
            if registered != behind && !is_shut {
                self.register(index, registered)?;
            }
        }
        self.seen = changes;
        Ok(())
    }

    /// Takes a connection from a socket, if there is one.
    fn take(&mut self, index: usize, row: &Row) -> io::Result<Option<Accepted>> {
        let place = &mut self.places[index];
        if place.is_shut {
            return Ok(None);
        }
        let accepted = match socket::take(place.socket.as_fd()) {
            Err(error) if socket::was_shut_down(&error) => {
                place.is_shut = true;
                self.epoll.delete(&place.socket)?;
                socket::tell_shut_down();
                return Ok(None);
            }
            accepted => accepted?,
        };
        add(&row.stolen, u64::from(accepted.is_some() && index >= self.own));
        Ok(accepted)
    }

    /// Takes a connection from any socket that has one.
    fn look_around(&mut self, row: &Row) -> io::Result<Option<Accepted>> {
        let mut ready: Vec<_> =
            self.places.iter().map(|place| PollFd::new(place.socket.as_fd(), PollFlags::POLLIN)).collect();
        if poll(&mut ready, PollTimeout::ZERO)? == 0 {
            return Ok(None);
        }
        let ready: Vec<bool> = ready.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        self.first = (self.first + 1) % ready.len();
        let first = self.first;
        for index in (0..ready.len()).map(|step| (first + step) % ready.len()) {
            if ready[index]
                && let Some(accepted) = self.take(index, row)?
            {
                self.first = index;
                return Ok(Some(accepted));
            }
        }
        Ok(None)
    }

    /// Sleeps until a socket has a connection, which is its index, or the bell rings.
    fn wait(&self) -> io::Result<Option<u64>> {
        let waits = self.shared.marks.waits(self.me);
        waits.store(1, SeqCst);
        let event = watch::wait(&self.alias, -1);
        waits.store(0, SeqCst);
        event
    }

    /// A connection that needs no wait: its own, or every so often anybody's.
    fn at_hand(&mut self, row: &Row) -> io::Result<Option<Accepted>> {
        self.since += 1;
        if self.since > LOOK_AROUND {
            self.since = 0;
            return self.look_around(row);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(None);
        }
        for index in 0..self.own {
            if let Some(accepted) = self.take(index, row)? {
                self.misses = 0;
                return Ok(Some(accepted));
            }
        }
        self.misses = (self.misses * 2 + 1).min(MOST_SKIPPED);
        self.skip = self.misses;
        Ok(None)
    }
}

impl Acceptor for Thief {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        let mut accepted = self.at_hand(row)?;
        loop {
            if let Some(accepted) = accepted {
                add(&row.wakeups, 1);
                return Ok(accepted);
            }
            self.keep_order()?;
            if stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            accepted = match self.wait()? {
                None => continue,
                Some(BELL) => {
                    self.keep_order()?;
                    self.look_around(row)?
                }
                Some(index) => self.take(usize::try_from(index).unwrap_or(0), row)?,
            };
            if accepted.is_none() {
                add(&row.wakeups, 1);
                add(&row.empty_wakeups, 1);
            }
        }
    }
}

#[cfg(test)]
#[path = "reuseport_steal_tests.rs"]
mod tests;
