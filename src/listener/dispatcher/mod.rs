//! A dispatcher process accepts every connection and passes it to a worker. The common part of `dispatch` and `least-loaded`,
//! which differ only in the choice of the worker ([`Policy`]).
//!
//! Mechanism: the dispatcher blocks in accept() and sends the descriptor through the worker's [channel]; a worker blocks
//! in recvmsg(). The [`DispatchTable`] keeps a stuck worker from stranding connections: the dispatcher accepts only while some
//! worker has capacity, prefers a waiting one, and passes at most [`dispatch_table::CHANNEL_CAPACITY`] connections to one that
//! does not wait. Everything else stays in the accept queue. A worker that becomes idle first takes connections from the channels
//! of busy, stopped or dead workers. So the channels together are one queue that idle workers empty: work conservation.
//!
//! No passed connection is lost while the instance lives, because all processes hold all channels. A dispatcher that dies loses
//! at most the one connection that it has between two system calls. One that is stopped is replaced, and continued (SIGCONT) so
//! that it passes on what it has and ends. A worker that leaves empties its channel; workers leave after their dispatcher.

pub mod channel;
pub mod dispatch_table;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Accepted, Acceptor, Auxiliary, Loss, Promises, Seat, Siblings, Spread, Strategy, Wait, socket};
use crate::scoreboard::{Row, add};
use crate::sys::signal::{Interruptible, stopped};
use channel::{Channel, Message};
use dispatch_table::{DispatchTable, Policy};

/// What the auxiliary process is called.
pub const DISPATCHER: &str = "dispatcher";

/// What both strategies promise, but for the spread of `least-loaded:first`. The system calls are the dispatcher's three and
/// the worker's one.
pub const PROMISES: Promises = Promises {
    spread: Spread::Turn,
    busy: Wait::Nothing,
    stopped: Wait::UpToMs(100),
    crash: Loss::Nothing,
    leave: Loss::Nothing,
    calls: &["accept4", "sendmsg", "close", "recvmsg"],
};

/// What all processes of a generation share.
#[derive(Debug)]
struct Shared {
    table: DispatchTable,
    channels: Vec<Channel>,
    /// Wakes the dispatcher when it waits for capacity.
    bell: EventFd,
}

impl Shared {
    /// Wakes the dispatcher if it waits for capacity.
    fn ring(&self, wanted: bool) {
        if wanted {
            // It fails only when the counter is full, and then the dispatcher is awake.
            let _ = self.bell.write(1);
        }
    }

    /// Passes a connection to a worker.
    ///
    /// # Errors
    /// Those of [`Channel::pass`]; the caller then still has the connection.
    fn pass(&self, policy: Policy, open: impl Fn(usize) -> u64, accepted: &Accepted) -> io::Result<()> {
        // All may be busy, but the connection is accepted already, and safer in a channel than here.
        let chosen = self.table.choose(policy, open).unwrap_or_else(|| self.table.next_in_turn());
        self.table.passing(chosen);
        if let Err(error) = self.channels[chosen].pass(accepted) {
            self.table.taken(chosen);
            return Err(error);
        }
        // A worker may have begun to wait, or the chosen one gone, since they were looked at.
        if self.table.state(chosen).can_be_taken_over() {
            self.wake_idle_worker();
        }
        Ok(())
    }

    /// Has an idle worker look at the channels of others.
    fn wake_idle_worker(&self) {
        if let Some(idle) = self.table.idle() {
            self.channels[idle].nudge();
        }
    }

    /// Takes a connection from the channel of a worker that is busy, stopped or dead.
    fn take_from_others(&self, me: usize) -> io::Result<Option<Accepted>> {
        let workers = self.table.workers();
        let others = (1..workers).map(|step| (me + step) % workers);
        for other in others.filter(|&other| self.table.state(other).can_be_taken_over()) {
            if let Some(accepted) = self.channels[other].take()? {
                self.ring(self.table.taken(other));
                return Ok(Some(accepted));
            }
        }
        Ok(None)
    }
}

/// The supervisor's side.
#[derive(Debug)]
pub struct Dispatching {
    shared: Arc<Shared>,
    policy: Policy,
}

impl Dispatching {
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn open(policy: Policy, workers: usize) -> io::Result<Box<dyn Strategy>> {
        let shared = Shared {
            table: DispatchTable::new(workers)?,
            channels: (0..workers).map(|_| Channel::new()).collect::<io::Result<_>>()?,
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?,
        };
        Ok(Box::new(Self { shared: Arc::new(shared), policy }))
    }
}

impl Strategy for Dispatching {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        let (shared, me) = (Arc::clone(&self.shared), seat.worker);
        let exit = Interruptible::new(shared.channels[me].exit())?;
        // The channel may hold connections of a predecessor.
        shared.ring(shared.table.register(me, shared.channels[me].len()?));
        Ok(Box::new(Receiver { shared, me, exit }))
    }

    fn auxiliary(&self, seat: Seat<'_>) -> io::Result<Box<dyn Auxiliary>> {
        let listener = Interruptible::new(seat.sockets[0].as_fd())?;
        let bell = Interruptible::new(self.shared.bell.as_fd())?;
        self.shared.table.set_wants_connection(false);
        Ok(Box::new(Dispatcher {
            shared: Arc::clone(&self.shared),
            policy: self.policy,
            siblings: seat.siblings,
            listener,
            bell,
            in_hand: None,
        }))
    }

    fn gone(&self, worker: usize) {
        if self.shared.table.absent(worker, true).queued() > 0 {
            self.shared.wake_idle_worker();
        }
    }

    fn left_behind(&self) -> Vec<Accepted> {
        let all = self.shared.channels.iter();
        all.flat_map(|channel| std::iter::from_fn(|| channel.take().ok().flatten())).collect()
    }

    fn take_over(&self, connections: Vec<Accepted>) {
        for accepted in connections {
            if let Err(error) = self.shared.pass(self.policy, |_| 0, &accepted) {
                tracing::error!("cannot pass a connection to a worker; it is lost: {error}");
            }
        }
    }

    fn back(&self, worker: usize) {
        let state = self.shared.table.absent(worker, false);
        self.shared.ring(state.has_capacity() && self.shared.table.wants_connection());
    }
}

/// The worker's side.
#[derive(Debug)]
struct Receiver {
    shared: Arc<Shared>,
    me: usize,
    exit: Interruptible,
}

impl Receiver {
    /// Takes a connection without waiting: from its own channel first, then from those of others.
    fn at_hand(&self) -> io::Result<Option<Accepted>> {
        let Shared { table, channels, .. } = &*self.shared;
        if table.state(self.me).queued() > 0
            && let Some(accepted) = channels[self.me].take()?
        {
            self.shared.ring(table.taken_by_itself(self.me));
            return Ok(Some(accepted));
        }
        self.shared.take_from_others(self.me)
    }

    /// Announces that it waits, looks once more, and sleeps until a message comes.
    fn sleep(&self) -> io::Result<Option<Accepted>> {
        let Shared { table, channels, .. } = &*self.shared;
        if table.state(self.me).queued() > 0 {
            // A connection is on its way, or a dead process left too high a count.
            table.recounted(self.me, channels[self.me].len()?);
        }
        self.shared.ring(table.waits(self.me, true));
        // The dispatcher may have passed a connection to a busy worker because none was waiting.
        if let Some(accepted) = self.shared.take_from_others(self.me)? {
            table.waits(self.me, false);
            return Ok(Some(accepted));
        }
        match channel::receive(self.exit.as_fd(), true) {
            Ok(Message::Connection(accepted)) => {
                self.shared.ring(table.taken_by_itself(self.me));
                Ok(Some(accepted))
            }
            other => {
                table.waits(self.me, false);
                other.map(|_| None)
            }
        }
    }
}

impl Acceptor for Receiver {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        loop {
            if stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let accepted = match self.at_hand()? {
                Some(accepted) => Some(accepted),
                None => self.sleep()?,
            };
            add(&row.wakeups, 1);
            match accepted {
                Some(accepted) => return Ok(accepted),
                None => add(&row.empty_wakeups, 1),
            }
        }
    }

    /// Takes the connections in its own channel and in those of absent workers.
    fn leave(&mut self, _: &Row) -> Vec<Accepted> {
        let Shared { table, channels, .. } = &*self.shared;
        table.leaves(self.me);
        let mut remaining = Vec::new();
        for worker in (0..table.workers()).filter(|&worker| !table.state(worker).is_there()) {
            while let Ok(Some(accepted)) = channels[worker].take() {
                self.shared.ring(table.taken(worker));
                remaining.push(accepted);
            }
        }
        remaining
    }
}

/// The dispatcher.
#[derive(Debug)]
struct Dispatcher {
    shared: Arc<Shared>,
    policy: Policy,
    siblings: Siblings,
    listener: Interruptible,
    bell: Interruptible,
    /// A connection that could not be passed on yet.
    in_hand: Option<Accepted>,
}

impl Dispatcher {
    /// Waits until some worker has capacity.
    fn await_capacity(&self) -> io::Result<()> {
        let table = &self.shared.table;
        while !table.any_has_capacity() {
            table.set_wants_connection(true);
            // A worker may have got capacity before it could see that the dispatcher waits.
            if !table.any_has_capacity() {
                nix::unistd::read(self.bell.as_fd(), &mut [0; 8])?;
                if stopped() {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            table.set_wants_connection(false);
        }
        Ok(())
    }

    /// Passes the connection in hand to a worker. If that fails, it stays in hand.
    fn pass(&mut self) -> io::Result<()> {
        let Some(accepted) = &self.in_hand else { return Ok(()) };
        let open = |worker| self.siblings.row(worker).map_or(0, |row| row.open.load(Relaxed));
        self.shared.pass(self.policy, open, accepted)?;
        self.in_hand = None;
        Ok(())
    }
}

impl Auxiliary for Dispatcher {
    fn step(&mut self, row: &Row) -> io::Result<()> {
        if self.in_hand.is_none() {
            self.await_capacity()?;
            self.in_hand = Some(socket::accept(self.listener.as_fd())?);
            add(&row.wakeups, 1);
            add(&row.accepted, 1);
        }
        self.pass()
    }

    fn leave(&mut self) {
        if let Err(error) = self.pass() {
            tracing::error!("cannot pass a connection to a worker; it is lost: {error}");
        }
    }
}
