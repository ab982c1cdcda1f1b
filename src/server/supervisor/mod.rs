//! The supervisor: binds the sockets, forks the workers, then acts on signals and on deaths of its children.
//!
//! It never accepts and never reads a request. Its listening sockets are parked ([`Parking`]) except while it forks.
//! One thread runs one loop (`Supervisor::run`): take signals, reap, read reports, start missing members, wait.

mod bind;
mod bind_unix;
mod closing;
mod estate;
mod founding;
mod generation;
mod group;
mod handler_ends;
mod handlers;
mod keeper;
mod keeper_socket;
mod lines;
mod member;
mod predecessors;
mod refusal;
mod reload;
mod repair;
mod staff;
mod start;
mod stderr;
mod tree_removal;
mod trees;
mod upgrade;

use std::collections::BTreeSet;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use crate::instance::Claim;
use crate::instance::daemon::Ready;
use crate::listener::address::Address;
use crate::listener::sink::Sink;
use crate::listener::socket;
use crate::listener::unix::SocketFile;
use crate::scoreboard::Scoreboard;
use crate::server::config::{Settings, Sources};
use crate::server::error::Error;
use crate::server::notify::Notify;
use crate::server::privileges::Identity;
use crate::sys::fdpass::Parking;
use crate::sys::fork::{self, Fate};
use crate::sys::{image, net, oom};
pub(super) use estate::{ANSWER, Inheritance};
use generation::Generation;
use handlers::Handlers;
use keeper_socket::KeeperSocket;
use member::Member;
use predecessors::Predecessor;
use stderr::Collector;
use trees::Trees;
pub(super) use upgrade::{Call, called};

/// A stop waits this long for handshakes that are under way: longer than TCP_DEFER_ACCEPT holds a connection.
const HALF_OPEN: Duration = Duration::from_millis(1500);
/// And this long for calls of connect(2) that had found the file of a unix socket before it was removed.
const UNDER_WAY: Duration = Duration::from_millis(100);
/// After the grace period workers end themselves and handlers are killed; this much later workers are killed too.
const OVERTIME: Duration = Duration::from_secs(1);
/// Killed children end within this time, unless the kernel blocks them.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// Polling interval while something is under way.
const TICK: Duration = Duration::from_millis(20);
/// How often strategies are told about stopped or dead workers.
const GONE_TICK: Duration = Duration::from_millis(100);

/// Runs an instance until it is stopped.
///
/// # Errors
/// It cannot listen, or its workers cannot start.
pub(super) fn run(settings: Settings, sources: Sources, beginning: Beginning) -> Result<(), Error> {
    let mut supervisor = upgrade::open(settings, sources, beginning)?;
    let ended = supervisor.run();
    if let Err(error) = &ended {
        supervisor.give_back(&error.to_string());
        supervisor.kill_all();
        // A start that fails leaves nothing running.
        fork::await_children(LAST_MOMENT);
    }
    supervisor.own().stderr.finish();
    let trees = supervisor.own().trees.finish();
    supervisor.remove_trees(trees);
    ended
}

/// What an instance starts with, besides its settings.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Lock on the instance's name.
    pub claim: Claim,
    /// Reports readiness to the launcher.
    pub ready: Ready,
    /// User to serve as.
    pub identity: Identity,
    /// A listening socket that a service manager passed.
    pub given: Option<OwnedFd>,
    /// Whether it runs as a daemon, whose standard error is /dev/null.
    pub in_background: bool,
    /// What an earlier program of this process has left.
    pub inheritance: Option<Inheritance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Starting or serving.
    Running,
    /// New connections are refused; handshakes under way are completed.
    Closing { until: Instant },
    /// Workers finish their connections.
    Stopping { until: Instant },
}

#[derive(Debug)]
struct Supervisor {
    sources: Sources,
    claim: Claim,
    /// Where the program lies; another one may take its place.
    program: Option<PathBuf>,
    in_background: bool,
    address: Address,
    board: &'static Scoreboard,
    /// Original `RLIMIT_NOFILE`, for handlers, if ours was raised.
    nofile: Option<(u64, u64)>,
    /// Number of the next generation.
    next_number: u64,
    /// The serving generation; `None` until the first one is ready.
    current: Option<Rc<Generation>>,
    /// The generation that takes over when all of its members are ready.
    starting: Option<Rc<Generation>>,
    /// All generations that may still have a process.
    generations: Vec<Rc<Generation>>,
    /// A reload was requested before the instance was ready.
    reload_again: bool,
    /// Earliest time of the next [`cover_sockets`](Self::cover_sockets).
    next_cover: Option<Instant>,
    /// The socket is a service manager's and outlives the instance: connections in its queue are left to the next
    /// instance.
    given: bool,
    staff: Vec<Member>,
    predecessors: Vec<Predecessor>,
    handlers: Handlers,
    /// Set once an instance has needed a keeper.
    keeper_socket: Option<KeeperSocket>,
    phase: Phase,
    ready: Option<Ready>,
    /// Closed by a forked worker at once.
    own: Option<Own>,
    /// Workers report their readiness here, then close it: every open descriptor is copied and closed again at each
    /// launch.
    reports: Option<PipeWriter>,
    /// Workers send leases of deployed trees here.
    leases: Option<OwnedFd>,
}

/// Descriptors of the supervisor alone.
#[derive(Debug)]
struct Own {
    parking: Parking,
    /// `None` if oom_score_adj cannot be set.
    oom: Option<oom::Score>,
    /// Receives new connections during a stop; closed when the port is released.
    sink: Option<Sink>,
    /// The file of a unix socket, until a stop removes it.
    file: Option<SocketFile>,
    signals: SignalFd,
    reports: PipeReader,
    stderr: Collector,
    notify: Notify,
    trees: Trees,
    /// The program that this one has taken over from, until this one serves.
    earlier: Option<OwnedFd>,
    has_just_started: bool,
}

impl Supervisor {
    fn run(&mut self) -> Result<(), Error> {
        loop {
            // Signals first: if SIGCHLD were taken after reaping, a child that ended in between would go unnoticed.
            while let Some(signal) = self.next_signal() {
                self.act(signal);
            }
            self.repair_scoreboard();
            self.reap()?;
            self.read_reports()?;
            self.give_up_hopeless_generation()?;
            self.advance();
            self.restore().map_err(Error::Failed)?;
            if !self.has_workers() && self.handlers_have_ended() && self.is_alone() {
                self.handlers.reap_killed();
                tracing::info!("stopped");
                return Ok(());
            }
            self.wait();
        }
    }

    fn own(&mut self) -> &mut Own {
        self.own.as_mut().expect("only a worker gives it up, and a worker does not come back here")
    }

    /// Handles every child that ended or was stopped. Children that are not members are handlers whose worker has
    /// ended.
    fn reap(&mut self) -> Result<(), Error> {
        while let Some((pid, fate)) = fork::reap() {
            // Read its last report first: after its death its pid is unknown.
            self.read_reports()?;
            if let Some(index) = self.staff.iter().position(|member| member.pid == Some(pid)) {
                self.on_child_status(index, fate);
            } else if !self.is_predecessor(pid, fate) && matches!(fate, Fate::Exited(_) | Fate::Killed(_)) {
                self.handlers.ended(pid);
            }
        }
        Ok(())
    }

    /// Workers report that they are ready, or why they cannot start.
    fn read_reports(&mut self) -> Result<(), Error> {
        let mut text = String::new();
        // Ends with WouldBlock; `text` holds what was read. A report is one write of less than PIPE_BUF bytes.
        let _ = self.own().reports.read_to_string(&mut text);
        for line in text.lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(kind), Some(pid)) = (words.next(), words.next().and_then(|pid| pid.parse().ok()))
            else {
                continue;
            };
            let Some(member) = self.staff.iter_mut().find(|member| member.has_pid(pid)) else { continue };
            match kind {
                "ready" => member.ready = true,
                _ => {
                    let generation = Rc::clone(&member.generation);
                    self.cannot_start(&generation, words.next().unwrap_or("for no known reason"))?;
                }
            }
        }
        self.promote();
        Ok(())
    }

    fn next_signal(&mut self) -> Option<Signal> {
        let info = self.own().signals.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }

    fn act(&mut self, signal: Signal) {
        match signal {
            Signal::SIGTERM | Signal::SIGINT if self.phase == Phase::Running => self.close(),
            Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT => {
                tracing::warn!("{signal}: ending at once");
                self.phase = Phase::Stopping { until: Instant::now() };
            }
            Signal::SIGHUP => self.reload(),
            Signal::SIGUSR1 => self.reopen_log(),
            _ => {} // SIGCHLD: reap() looks at each turn
        }
    }

    /// First half of a graceful stop: new connections are refused; queued connections and handshakes are still served.
    fn close(&mut self) {
        tracing::info!("stopping: no new connections");
        self.own().notify.stopping();
        self.board.header().closing.store(1, SeqCst);
        if self.given {
            return self.dismiss();
        }
        let until = Instant::now() + if self.address.is_unix() { UNDER_WAY } else { HALF_OPEN };
        self.phase = Phase::Closing { until };
        if self.staff.iter().all(|member| member.pid.is_none()) {
            self.staff.iter_mut().for_each(|member| member.due = Some(Instant::now()));
        }
        self.own().file = None;
        if !self.address.is_unix() {
            self.divert_new_connections();
        }
    }

    /// Second half: workers serve what is left in the queues, finish, and end.
    fn dismiss(&mut self) {
        let youngest = self.starting.as_ref().or(self.current.as_ref());
        let grace = youngest.map_or(Duration::ZERO, |generation| generation.settings.grace);
        self.phase = Phase::Stopping { until: Instant::now() + grace + OVERTIME };
        if !self.given {
            self.on_all_sockets(|sockets| {
                // Closing sockets one after another renumbers the group, the sink included.
                closing::drop_new_connections(sockets);
                // Non-blocking, so that a worker can tell an empty queue instead of waiting for a connection.
                sockets.iter().for_each(|socket| drop(net::set_nonblocking(socket.as_fd(), true)));
            });
        }
        self.own().parking.clear();
        self.staff.retain(|member| member.pid.is_some());
        self.staff.iter_mut().for_each(|member| member.retiring = true);
        self.tell_retiring();
    }

    /// Handles everything that is due by time.
    fn advance(&mut self) {
        let now = Instant::now();
        match self.phase {
            Phase::Running => {}
            Phase::Closing { until } => {
                // A worker must be running to empty the queues; a worker killed just now is reaped in a moment.
                let staffed = now + HALF_OPEN >= until + TICK && self.has_worker_for_all_sockets();
                let half_open = || socket::half_open(self.address.port());
                let quiet = || !self.address.is_unix() && half_open().is_ok_and(|count| count == 0);
                if now >= until || (staffed && quiet()) {
                    self.dismiss();
                }
            }
            Phase::Stopping { until } if now >= until => self.kill_all(),
            Phase::Stopping { .. } => self.release_port(),
        }
        for index in 0..self.staff.len() {
            if self.staff[index].stopped || self.staff[index].pid.is_none() {
                self.report_gone_to_strategy(index);
            }
        }
        self.dismiss_keeper();
        self.tell_retiring();
        self.tell_predecessors();
        self.send_to_keeper();
        self.reassign_leftovers();
        self.cover_sockets();
        if self.own().trees.due().is_some_and(|due| now >= due) {
            self.sweep_trees();
        }
    }

    fn reopen_log(&mut self) {
        for (path, error) in crate::server::logging::reopen() {
            tracing::error!("cannot reopen {}: {error}; logging continues to the old file", path.display());
        }
        self.staff.iter().for_each(|member| member.signal(Signal::SIGUSR1));
        self.predecessors.iter().for_each(|one| one.signal(Signal::SIGUSR1));
    }

    /// Calls `work` with copies of the listening sockets.
    ///
    /// # Errors
    /// Copies cannot be made now; nothing is lost, and it can be tried again.
    fn with_sockets(&mut self, work: impl FnOnce(&mut Self, &mut Vec<OwnedFd>)) -> Result<(), String> {
        let mut sockets = self
            .own()
            .parking
            .copies()
            .map_err(|error| format!("cannot access the listening sockets: {error}"))?;
        work(self, &mut sockets);
        Ok(())
    }

    /// Sleeps until a signal, a report, output of a handler's stderr, or the next deadline.
    fn wait(&mut self) {
        let limited = |limit| PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let timeout = self.next_wake_up().map_or(PollTimeout::NONE, limited);
        let rows: BTreeSet<usize> = self.staff.iter().map(|member| member.slot).collect();
        let own = self.own();
        own.stderr.vacate(|row| !rows.contains(&row));
        let mut fds = [own.signals.as_fd(), own.reports.as_fd(), own.stderr.as_fd(), own.trees.as_fd()]
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if std::mem::take(&mut own.has_just_started) {
            image::forget_pages();
        }
        let _ = poll(&mut fds, timeout);
        self.own().stderr.collect();
        self.own().trees.collect();
    }

    fn next_wake_up(&self) -> Option<Duration> {
        let now = Instant::now();
        let until = |instant: Instant| instant.saturating_duration_since(now) + Duration::from_millis(1);
        let phase = match self.phase {
            Phase::Running => None,
            Phase::Closing { .. } => Some(TICK),
            // At least a tick: the deadline may have passed while a killed process still has to be reaped.
            Phase::Stopping { .. } if self.holds_sink() => Some(TICK),
            Phase::Stopping { until: end } => Some(until(end).max(TICK)),
        };
        let due = self.staff.iter().filter_map(|member| member.due).map(until).min();
        let unsent = self.has_unsent().then_some(TICK);
        let gone =
            self.staff.iter().any(|member| member.stopped || member.pid.is_none()).then_some(GONE_TICK);
        let line = self.own.as_ref().and_then(|own| own.stderr.due()).map(until);
        let cover = self.next_cover.map(until);
        let trees = self.own.as_ref().and_then(|own| own.trees.due()).map(until);
        let handlers = self.until_handlers_are_due();
        [phase, due, gone, line, cover, unsent, handlers, trees].into_iter().flatten().min()
    }
}
