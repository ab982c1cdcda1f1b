//! The keeper: one process per instance that outlives workers and reloads. It knows which handlers run, how many, when
//! they time out, and how they ended, and it passes document responses on to their clients ([`relay`]). It is started if a
//! setting needs it.
//!
//! Workers send it a message with a pidfd for each launch ([`note`]) and forget the handler. Both ends of the socket
//! stay open in the supervisor, so that messages outlive a keeper; a replacement reads the rest from the process table
//! ([`census`]). The counts are in the scoreboard, so that a worker can check them before a launch
//! (`Scoreboard::handlers`).

mod books;
pub mod census;
pub mod note;
mod outcome;
mod places;
pub mod relay;
mod reserve;
mod watch;

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::unistd::Pid;

use crate::scoreboard::mounts::Shares;
use crate::scoreboard::{Scoreboard, State};
use crate::server::error::EXIT_FATAL;
use crate::server::logging;
use crate::sys::proctable;
use crate::sys::signal::Interruptible;
use crate::sys::{epoll, fork, image, signal};
use note::Launch;
use places::Places;
use relay::{RELAY, Redirects, Relays, Slot};
use reserve::Reserve;
use watch::{Handlers, RETRY};

/// Event data of the socket; handlers and responses have other numbers.
const SOCKET: u64 = 0;
/// Event data of the log's timer.
const LINES: u64 = u64::MAX;
/// Events that are taken at once.
const EVENTS: usize = 64;
/// Consecutive messages before ended handlers are handled.
const MESSAGES_PER_TURN: usize = 64;
/// Pause after an unexpected error of epoll_wait(2).
const PAUSE: Duration = Duration::from_millis(50);

/// What the supervisor gives to a keeper that it forks.
#[derive(Debug)]
pub struct Post {
    pub slot: usize,
    pub board: &'static Scoreboard,
    /// The receiving end of the socket.
    pub exit: OwnedFd,
    /// Sessions of workers.
    pub sessions: HashSet<Pid>,
    /// Workers of an earlier program. What they start is another keeper's; here it only counts.
    pub earlier: HashSet<Pid>,
    /// Timeout of handlers found in the process table.
    pub timeout: Option<Duration>,
    /// Whether their ends are recorded.
    pub outcomes: bool,
    pub supervisor: Pid,
}

/// Runs the keeper to its end; `ready` is called when it has begun. Never returns and never unwinds: the stack below
/// belongs to the supervisor that was forked.
pub fn run(post: Post, redirects: Redirects, ready: impl FnOnce(Result<(), String>)) -> ! {
    let work = || match Keeper::begin(post, redirects) {
        Ok(mut keeper) => {
            ready(Ok(()));
            image::forget_pages();
            keeper.live();
            0
        }
        Err(error) => {
            ready(Err(error.to_string()));
            EXIT_FATAL
        }
    };
    let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(101);
    logging::flush();
    fork::exit_now(code)
}

#[derive(Debug)]
struct Keeper {
    post: Post,
    epoll: Epoll,
    /// The epoll instance, until a signal stops the keeper.
    waits: Interruptible,
    handlers: Handlers,
    relays: Relays,
    reserve: Reserve,
    /// Whether messages are received: not while no descriptor is free for their pidfds.
    receiving: bool,
    /// Responses that have not been looked at, and the handlers that write them.
    fresh: Vec<(u64, Option<u64>)>,
    /// Handlers whose pidfd could not be received, with their responses.
    without_pidfd: Vec<(Launch, Option<u64>)>,
    /// Room for a message.
    message: Box<[u8]>,
    /// Handlers without a pidfd, because the sandbox refuses pidfds: they are polled.
    looked_at: Vec<u64>,
    /// When to read the process table for unwatched handlers.
    census_due: Option<Instant>,
    /// Handlers that are counted, and those of a predecessor that are not found yet.
    counted: u64,
    inherited: u64,
    /// Those of mounts.
    places: Places,
    /// Launches of dead workers that this census accounts for (`Header::lost`).
    lost: u64,
    /// Another keeper watches what handlers leave behind.
    succeeded: bool,
}

impl Keeper {
    fn begin(post: Post, redirects: Redirects) -> io::Result<Self> {
        logging::install_signals()?;
        let flush_timer = logging::become_keeper(&post.board.row(post.slot).unwritten)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(post.exit.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, SOCKET))?;
        epoll.add(flush_timer, EpollEvent::new(EpollFlags::EPOLLIN, LINES))?;
        let mut keeper = Self {
            waits: Interruptible::new(epoll.0.as_fd())?,
            epoll,
            handlers: Handlers::default(),
            relays: Relays::new(post.board, redirects),
            reserve: Reserve::new()?,
            receiving: true,
            fresh: Vec::new(),
            without_pidfd: Vec::new(),
            message: vec![0; note::BYTES].into(),
            looked_at: Vec::new(),
            census_due: None,
            counted: 0,
            inherited: 0,
            places: Places::new(post.board),
            lost: 0,
            succeeded: false,
            post,
        };
        keeper.take_over()?;
        let row = keeper.post.board.row(keeper.post.slot);
        row.pid.store(u64::from(std::process::id()), Relaxed);
        row.state.store(State::Running as u64, Relaxed);
        Ok(keeper)
    }

    /// Counts the running handlers when the keeper starts. Until then the predecessor's count stands, which is at most
    /// too high.
    fn take_over(&mut self) -> io::Result<()> {
        let board = self.post.board;
        let header = board.header();
        // Every message sent by now is in the socket, or a predecessor received it and its handler is found below.
        let sent: Vec<u64> = (0..board.rows()).map(|slot| board.row(slot).sent.load(SeqCst)).collect();
        self.lost = header.lost.load(SeqCst);
        self.inherited = header.watched.load(SeqCst);
        board.used().for_each(|row| row.running.store(0, SeqCst));
        self.take_census()?;
        self.receive(usize::MAX);
        for (slot, sent) in sent.into_iter().enumerate() {
            board.row(slot).passed.fetch_max(sent, SeqCst);
        }
        self.inherited = 0;
        self.count(0, Shares::default());
        self.places.publish();
        Ok(())
    }

    /// Changes the count of handlers, and those of a mount and a client. It is stored, not added, so that a scoreboard that lost its contents
    /// is correct again.
    fn count(&mut self, change: i64, shares: Shares) {
        self.places.count(change, shares);
        self.counted = self.counted.saturating_add_signed(change);
        self.post.board.header().watched.store(self.counted + self.inherited, SeqCst);
    }

    fn live(&mut self) {
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let leaving = signal::stopped();
            if leaving && self.may_leave() {
                return;
            }
            let epoll = if leaving {
                // The supervisor's patience may end while it waits, and it is killed.
                logging::flush();
                self.epoll.0.as_fd()
            } else {
                self.waits.as_fd()
            };
            match epoll::wait(epoll, &mut events, self.until_due()) {
                Ok(count) => events[..count].iter().for_each(|event| self.happened(event)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted || signal::stopped() => {}
                Err(error) => {
                    tracing::error!("cannot wait for handlers: {error}");
                    std::thread::sleep(PAUSE);
                }
            }
            self.by_time(Instant::now());
        }
    }

    fn happened(&mut self, event: &EpollEvent) {
        match event.data() {
            SOCKET => self.receive(MESSAGES_PER_TURN),
            LINES => {
                logging::disarm();
                logging::flush();
            }
            key if key & RELAY != 0 => self.relays.advance(&self.epoll, key),
            id => self.ended(id),
        }
    }

    /// Whether a keeper that was told to end may do so: every message was handled, no handler runs, and every response has
    /// ended. Processes that handlers left behind are watched on, unless the instance stops.
    fn may_leave(&mut self) -> bool {
        self.receive(usize::MAX);
        if signal::stopped() {
            // A keeper is told to end when no worker needs it any more.
            self.relays.without_workers();
        }
        let closing = self.post.board.header().closing.load(SeqCst) != 0;
        signal::stopped()
            && self.handlers.running() == 0
            && self.relays.is_empty()
            && self.without_pidfd.is_empty()
            && (closing || self.succeeded || (self.handlers.is_empty() && self.census_due.is_none()))
    }

    /// The keeper was told to end, and is needed again.
    fn stay(&mut self) {
        match signal::resume(self.epoll.0.as_fd()) {
            Ok(waits) => {
                self.waits = waits;
                self.relays.with_workers();
            }
            // It ends when it may, and is replaced then.
            Err(error) => tracing::error!("cannot wait for signals: {error}"),
        }
    }

    /// In ms, for epoll_wait(2).
    fn until_due(&self) -> i32 {
        let looks =
            !self.without_pidfd.is_empty() || !self.looked_at.is_empty() || self.places.is_unsettled();
        let retry = looks.then(|| Instant::now() + RETRY);
        let due = [self.handlers.next_deadline(), self.relays.due(), self.census_due, retry];
        let due = due.into_iter().flatten().min();
        due.map_or(-1, |due| {
            let left = due.saturating_duration_since(Instant::now());
            i32::try_from(left.as_millis()).unwrap_or(i32::MAX - 1) + 1
        })
    }

    fn by_time(&mut self, now: Instant) {
        self.places.settle();
        let reserve = &mut self.reserve;
        self.handlers.sweep(now, &self.post.sessions, || reserve.lend(proctable::processes));
        if self.census_due.is_some_and(|due| due <= now) {
            self.census_due = None;
            if let Err(error) = self.take_census() {
                tracing::error!("cannot look for handlers: {error}; trying again");
                self.census_due = Some(now + RETRY);
            }
        }
        for (launch, response) in std::mem::take(&mut self.without_pidfd) {
            self.watch_by_number(launch, response);
        }
        let ended =
            |id: &u64| self.handlers.pidfd(*id).is_none_or(|process| process.wait(0).unwrap_or(false));
        let (ended, rest): (Vec<u64>, Vec<u64>) =
            std::mem::take(&mut self.looked_at).into_iter().partition(ended);
        self.looked_at = rest;
        ended.into_iter().for_each(|id| self.ended(id));
        self.relays.by_time(&self.epoll, now);
        if !self.receiving {
            self.receive(MESSAGES_PER_TURN);
        }
        for Slot(shares) in self.relays.freed() {
            self.count(-1, shares);
        }
        let unwatched = self.without_pidfd.iter().map(|(launch, _)| launch.shares);
        let running = self.handlers.shares().chain(self.relays.shares()).chain(unwatched);
        self.places.settle_clients(running.filter_map(|shares| shares.client));
    }
}
