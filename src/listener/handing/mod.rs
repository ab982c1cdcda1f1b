//! Handing over: a dispatcher process accepts every connection and passes it to a worker of its choice. The common part
//! of `dispatch` and `least-loaded`, which differ in the choice ([`Policy`]) alone.
//!
//! Mechanism: the dispatcher blocks in accept() and sends the descriptor through the worker's [channel]; a worker blocks
//! in recvmsg(). What keeps a stuck worker from stranding connections is the *[desk]*: the dispatcher accepts only while some
//! worker has room, prefers one that waits, and passes at most [`desk::ROOM`] connections to one that does not. Everything else
//! stays in the accept queue. A worker that becomes idle first takes what waits for others that are busy, stopped or dead, so that
//! the channels together are one queue that idle workers empty: work conservation.
//!
//! Nothing that was passed is lost while the instance lives: all processes hold all channels. A dispatcher that dies loses the
//! one connection it has in hand, if any, between two system calls; one that is stopped is replaced, and made to go on (SIGCONT) so
//! that it passes on what it has in hand, and ends.
//! A worker that leaves empties its channel; workers leave after their dispatcher.

pub mod channel;
pub mod desk;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Accepted, Acceptor, Auxiliary, Loss, Promises, Seat, Siblings, Spread, Strategy, Wait, socket};
use crate::scoreboard::{Row, add};
use crate::sys::signal::{Interruptible, stopped};
use channel::{Channel, Message};
use desk::{Desk, Policy};

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
    desk: Desk,
    channels: Vec<Channel>,
    /// Wakes the dispatcher when it waits for room.
    bell: EventFd,
}

impl Shared {
    /// Tells the dispatcher that there is room, if it waits for that.
    fn ring(&self, wanted: bool) {
        if wanted {
            // It fails only when the counter is full, and then the dispatcher is awake.
            let _ = self.bell.write(1);
        }
    }

    /// Passes a connection to the worker that should have it.
    ///
    /// # Errors
    /// Those of [`Channel::pass`]; then the connection is the caller's still.
    fn pass(&self, policy: Policy, open: impl Fn(usize) -> u64, accepted: &Accepted) -> io::Result<()> {
        // All may be busy. It was accepted all the same, and is safer in a channel than here.
        let chosen = self.desk.choose(policy, open).unwrap_or_else(|| self.desk.anybody());
        self.desk.passing(chosen);
        if let Err(error) = self.channels[chosen].pass(accepted) {
            self.desk.taken(chosen);
            return Err(error);
        }
        // A worker may have begun to wait, or the chosen one gone, since they were looked at.
        if self.desk.state(chosen).can_be_relieved() {
            self.call_for_relief();
        }
        Ok(())
    }

    /// Has an idle worker look for what others do not come to.
    fn call_for_relief(&self) {
        if let Some(idle) = self.desk.idle() {
            self.channels[idle].nudge();
        }
    }

    /// Takes a connection from a channel of somebody else's who does not see to it.
    fn relieve(&self, me: usize) -> io::Result<Option<Accepted>> {
        let workers = self.desk.workers();
        let others = (1..workers).map(|step| (me + step) % workers);
        for other in others.filter(|&other| self.desk.state(other).can_be_relieved()) {
            if let Some(accepted) = self.channels[other].take()? {
                self.ring(self.desk.taken(other));
                return Ok(Some(accepted));
            }
        }
        Ok(None)
    }
}

/// The supervisor's side.
#[derive(Debug)]
pub struct Handing {
    shared: Arc<Shared>,
    policy: Policy,
}

impl Handing {
    /// For so many workers.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn open(policy: Policy, workers: usize) -> io::Result<Box<dyn Strategy>> {
        let shared = Shared {
            desk: Desk::new(workers)?,
            channels: (0..workers).map(|_| Channel::new()).collect::<io::Result<_>>()?,
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?,
        };
        Ok(Box::new(Self { shared: Arc::new(shared), policy }))
    }
}

impl Strategy for Handing {
    fn acceptor(&self, seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        let (shared, me) = (Arc::clone(&self.shared), seat.worker);
        let exit = Interruptible::new(shared.channels[me].exit())?;
        // What waits is a predecessor's.
        shared.ring(shared.desk.sits_down(me, shared.channels[me].len()?));
        Ok(Box::new(Receiver { shared, me, exit }))
    }

    fn auxiliary(&self, seat: Seat<'_>) -> io::Result<Box<dyn Auxiliary>> {
        let listener = Interruptible::new(seat.sockets[0].as_fd())?;
        let bell = Interruptible::new(self.shared.bell.as_fd())?;
        self.shared.desk.set_hungry(false);
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
        if self.shared.desk.absent(worker, true).queued() > 0 {
            self.shared.call_for_relief();
        }
    }

    fn left_behind(&self) -> Vec<Accepted> {
        let all = self.shared.channels.iter();
        all.flat_map(|channel| std::iter::from_fn(|| channel.take().ok().flatten())).collect()
    }

    fn take_over(&self, connections: Vec<Accepted>) {
        for accepted in connections {
            if let Err(error) = self.shared.pass(self.policy, |_| 0, &accepted) {
                tracing::error!("a connection is lost that could not be passed to a worker: {error}");
            }
        }
    }

    fn back(&self, worker: usize) {
        let state = self.shared.desk.absent(worker, false);
        self.shared.ring(state.has_room() && self.shared.desk.is_hungry());
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
    /// What is there without waiting: its own first, then what others do not come to.
    fn at_hand(&self) -> io::Result<Option<Accepted>> {
        let Shared { desk, channels, .. } = &*self.shared;
        if desk.state(self.me).queued() > 0
            && let Some(accepted) = channels[self.me].take()?
        {
            self.shared.ring(desk.taken_by_owner(self.me));
            return Ok(Some(accepted));
        }
        self.shared.relieve(self.me)
    }

    /// Says that it waits, looks once more, and sleeps until a message comes.
    fn sleep(&self) -> io::Result<Option<Accepted>> {
        let Shared { desk, channels, .. } = &*self.shared;
        if desk.state(self.me).queued() > 0 {
            // On its way, or a count that a death has left too high.
            desk.recounted(self.me, channels[self.me].len()?);
        }
        self.shared.ring(desk.waits(self.me, true));
        // Somebody may have been passed a connection, since there was nobody who waited.
        if let Some(accepted) = self.shared.relieve(self.me)? {
            desk.waits(self.me, false);
            return Ok(Some(accepted));
        }
        match channel::receive(self.exit.as_fd(), true) {
            Ok(Message::Connection(accepted)) => {
                self.shared.ring(desk.taken_by_owner(self.me));
                Ok(Some(accepted))
            }
            other => {
                desk.waits(self.me, false);
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

    /// What is in its channel, and in those of workers that are not there to take it.
    fn leave(&mut self, _: &Row) -> Vec<Accepted> {
        let Shared { desk, channels, .. } = &*self.shared;
        desk.leaves(self.me);
        let mut remaining = Vec::new();
        for worker in (0..desk.workers()).filter(|&worker| !desk.state(worker).is_there()) {
            while let Ok(Some(accepted)) = channels[worker].take() {
                self.shared.ring(desk.taken(worker));
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
    /// Returns when some worker can be passed a connection.
    fn await_room(&self) -> io::Result<()> {
        let desk = &self.shared.desk;
        while !desk.anyone_free() {
            desk.set_hungry(true);
            // Somebody may have got room before he could see that it is waited for.
            if !desk.anyone_free() {
                nix::unistd::read(self.bell.as_fd(), &mut [0; 8])?;
                if stopped() {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
            desk.set_hungry(false);
        }
        Ok(())
    }

    /// Passes the connection in hand to the worker that should have it. If that fails, it stays in hand.
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
            self.await_room()?;
            self.in_hand = Some(socket::accept(self.listener.as_fd())?);
            add(&row.wakeups, 1);
            add(&row.accepted, 1);
        }
        self.pass()
    }

    fn leave(&mut self) {
        if let Err(error) = self.pass() {
            tracing::error!("a connection is lost that could not be passed to a worker: {error}");
        }
    }
}
