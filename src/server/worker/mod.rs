//! A worker process: accepts, reads the whole request, starts its handler, and goes back to accepting.
//!
//! Two threads. The *acceptor* (this file) blocks in the strategy's accept() and serves at once every request that is there
//! when accept() returns, as nearly all are (TCP_DEFER_ACCEPT). The *room* ([`room`]) sleeps unless a client is slow: it owns
//! half-read, kept-alive and lingering connections with their deadlines. So no client, however slow, keeps the acceptor from
//! its place in the kernel's queue, and neither thread ever waits for a handler.

pub mod auxiliary;
mod body;
mod connection;
mod crowd;
mod descriptors;
mod held;
mod keeping;
mod linger;
mod pin;
mod places;
mod room;
mod service;
mod shortage;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use connection::Connection;
use descriptors::Descriptors;
use held::{Held, Progress};
use keeping::Keeping;
use room::Room;
use service::{After, Service};
use shortage::Shortage;

use crate::cgi::launch;
use crate::cgi::stderr::Pipes;
use crate::http::limits::Limits;
use crate::http::refusal::Refusal;
use crate::http::request::{self, Framing};
use crate::listener::{Accepted, Acceptor, Seat, Siblings, Strategy, socket};
use crate::scoreboard::{Row, Scoreboard, State, add, subtract};
use crate::server::config::Settings;
use crate::server::logging;
use crate::server::responders::Occupy;
use crate::sys::map::{self, Pages};
use crate::sys::{fork, net, sandbox, signal};

/// Exit code of a worker that could not start and whose successor could not either.
pub const EXIT_FATAL: i32 = 70;
/// A request whose head fits is read with one system call.
const READ_BYTES: usize = 16 * 1024;
/// How often a stopping worker looks whether it is done.
const TICK: Duration = Duration::from_millis(5);

/// A slow client is told so beyond `--max-connections`.
const FULL: Refusal = Refusal::new(503, "too many connections are waiting");

/// What a worker is given by the supervisor that forked it.
#[derive(Debug)]
pub struct Post<'a> {
    /// Its row in the scoreboard.
    pub slot: usize,
    /// Its number in its generation.
    pub number: usize,
    /// Its generation.
    pub generation: u64,
    /// Settings of the generation, with the bound port.
    pub settings: &'a Settings,
    /// The instance's scoreboard.
    pub board: &'static Scoreboard,
    /// The strategy of the generation.
    pub strategy: &'a dyn Strategy,
    /// Rows of the generation's workers, by their numbers.
    pub slots: Vec<usize>,
    /// All listening sockets.
    pub sockets: Vec<OwnedFd>,
    /// The instance's folder: the log's place, and that of large bodies.
    pub log_path: PathBuf,
    /// Where the instance hears of deployed trees that handlers are started in.
    pub leases: OwnedFd,
    /// `RLIMIT_NOFILE` for handlers, where it differs from the worker's.
    pub nofile: Option<(u64, u64)>,
    /// Standard errors for its handlers.
    pub stderr: Pipes,
    /// Before it accepts, it tries whether it can start a handler: its generation is not ready yet.
    pub rehearses: bool,
    /// What still waits when the instance stops is left to the next one.
    pub leaves_queue: bool,
    /// The keeper's socket, where the settings need one.
    pub keeper: Option<OwnedFd>,
}

impl Post<'_> {
    /// What the strategy is to know of it.
    fn seat(&self) -> Seat<'_> {
        Seat {
            worker: self.number,
            workers: self.settings.workers,
            sockets: &self.sockets,
            terms: self.settings.terms(),
            siblings: Siblings::new(self.board, self.generation, self.slots.clone()),
        }
    }
}

/// What both threads of a worker see. Lives as long as the process.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    limits: Limits,
    board: &'static Scoreboard,
    slot: usize,
    number: usize,
    nofile: Option<(u64, u64)>,
    stderr: Pipes,
    leases: OwnedFd,
    /// `SERVER_NAME` where the client names no host.
    server_name: String,
    descriptors: Descriptors,
    spool_directory: PathBuf,
    /// What reports launches, where the settings need it.
    keeping: Option<Keeping>,
    /// What occupies the worker before a measuring answer; one at a time, as a worker does one thing at a time.
    occupy: Option<Mutex<Occupy>>,
}

impl Shared {
    fn row(&self) -> &Row {
        self.board.row(self.slot)
    }
}

/// Runs a worker to its end; `ready` is called when it accepts. Never returns and never unwinds: the stack below
/// belongs to the supervisor that was forked.
pub fn run(post: Post<'_>, ready: impl FnOnce(Result<(), String>)) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| work(post, ready))).unwrap_or(101);
    logging::flush();
    fork::exit_now(code)
}

fn work(post: Post<'_>, ready: impl FnOnce(Result<(), String>)) -> i32 {
    match set_up(post) {
        Ok(worker) => {
            ready(Ok(()));
            worker.serve()
        }
        Err(error) => {
            ready(Err(error.to_string()));
            EXIT_FATAL
        }
    }
}

fn set_up(post: Post<'_>) -> io::Result<Worker> {
    if !post.settings.allow_setuid {
        fork::gain_no_privileges()?;
        fork::pass_on_no_capabilities()?;
        sandbox::let_threads_start()?;
    }
    if post.settings.pin {
        pin::to_one_cpu(post.number)?;
    }
    if let Some(log) = logging::descriptor() {
        signal::install_worker(log, &post.log_path)?;
    }
    let flush_timer = logging::become_worker(post.number, &post.board.row(post.slot).unwritten)?;
    let acceptor = post.strategy.acceptor(post.seat())?;
    let seed = post.number as u64 + 1;
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        limits: Limits { body: post.settings.max_body, ..Limits::default() },
        occupy: post.settings.respond.occupy(seed).map(Mutex::new),
        server_name: launch::server_name(post.settings.bind),
        descriptors: Descriptors::new()?,
        settings: post.settings.clone(),
        board: post.board,
        slot: post.slot,
        number: post.number,
        nofile: post.nofile,
        stderr: post.stderr,
        keeping: post.keeper.map(|entrance| Keeping::new(entrance, post.settings.outcomes.are_recorded())),
        leases: post.leases,
        spool_directory: post.log_path.parent().unwrap_or(&post.log_path).to_owned(),
    }));
    let room: &'static Room = Box::leak(Box::new(Room::open(shared, flush_timer)?));
    map::share_one_heap();
    if post.rehearses {
        net::try_accept()
            .map_err(|error| io::Error::other(format!("cannot accept connections here: {error}")))?;
        service::rehearse(shared).map_err(io::Error::other)?;
    }
    room.start().map_err(|error| io::Error::other(format!("cannot start a thread: {error}")))?;
    let row = shared.row();
    row.number.store(post.number as u64, Relaxed);
    row.generation.store(post.generation, Relaxed);
    row.pid.store(u64::from(std::process::id()), Relaxed);
    row.open.store(0, Relaxed);
    row.lingering.store(0, Relaxed);
    row.state.store(State::Running as u64, Relaxed);
    Ok(Worker {
        shared,
        room,
        acceptor,
        sockets: post.sockets,
        leaves_queue: post.leaves_queue,
        shortage: Shortage::default(),
        service: Service::new(shared, room, false)?,
        buffer: Pages::new(READ_BYTES)?,
    })
}

#[derive(Debug)]
struct Worker {
    shared: &'static Shared,
    room: &'static Room,
    acceptor: Box<dyn Acceptor>,
    sockets: Vec<OwnedFd>,
    leaves_queue: bool,
    shortage: Shortage,
    service: Service,
    buffer: Pages,
}

impl Worker {
    /// Accepts until a stop signal, then finishes what was accepted. Returns the exit code.
    fn serve(mut self) -> i32 {
        let row = self.shared.row();
        while !signal::stopped() {
            match self.shared.descriptors.spare().and_then(|()| self.acceptor.accept(row)) {
                Ok(accepted) => {
                    self.shortage.is_over();
                    self.take_batch(accepted);
                }
                Err(error) => self.shortage.stand_back(&error),
            }
        }
        row.state.store(State::Stopping as u64, Relaxed);
        for accepted in self.acceptor.leave(row) {
            self.take(accepted);
        }
        if self.shared.board.header().closing.load(SeqCst) != 0 && !self.leaves_queue {
            self.empty_queues();
        }
        let Self { shared, room, acceptor, sockets, .. } = self;
        drop((acceptor, sockets));
        finish(shared, room);
        0
    }

    /// Serves a connection, after it has taken along as many more as it may.
    fn take_batch(&mut self, first: Accepted) {
        let most = self.shared.settings.accept_batch;
        if most == 1 {
            return self.take(first);
        }
        let mut batch = vec![first];
        while batch.len() < most
            && self.shared.descriptors.spare().is_ok()
            && let Ok(Some(next)) = self.acceptor.more(self.shared.row())
        {
            batch.push(next);
        }
        batch.into_iter().for_each(|accepted| self.take(accepted));
    }

    /// Serves a new connection as far as it goes without waiting; the room has the rest.
    fn take(&mut self, Accepted { stream, peer }: Accepted) {
        if self.shared.board.header().closing.load(Relaxed) != 0 {
            // The listening socket drops packets by now that have come from afar; this connection is to get them.
            let _ = net::set_least_hops(stream.as_fd(), 0);
        }
        let connection = Connection::new(stream, peer);
        let row = self.shared.row();
        add(&row.accepted, 1);
        add(&row.open, 1);
        let accepted = connection.accepted;
        match net::recv(&connection.stream, &mut self.buffer) {
            Ok(0) => leave(row),
            Ok(n) => match self.at_once(&connection, n) {
                Some(After::Close) => leave(row),
                // It has its answer, and others need the place more.
                Some(After::KeepAlive) if self.is_full(&connection) => leave(row),
                Some(after) => self.keep(Held::after(connection, after, self.shared)),
                None => self.hold(connection, n),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.hold(connection, 0),
            Err(_) => leave(row), // the client has left already
        }
        add(&row.busy_ns, u64::try_from(accepted.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    /// The usual case: one whole request without a body, which is all that has come in. `None` when it is not that.
    fn at_once(&mut self, connection: &Connection, n: usize) -> Option<After> {
        // A full buffer may not be all of the input, and unread input would cost the client the response (RFC 9112 9.6).
        if n == self.buffer.len() {
            return None;
        }
        let mut slots = request::slots();
        let head = request::parse(&self.buffer[..n], &mut slots, &self.shared.limits).ok()??;
        let whole = head.framing == Framing::None && (head.len == n || self.service.is_cgi());
        whole.then(|| self.service.answer(connection, &head, None, None))
    }

    /// Goes on with a connection that is not the usual case, and leaves it to the room if it would have to wait.
    fn hold(&mut self, connection: Connection, n: usize) {
        let mut held = Held::new(connection, &self.buffer[..n], self.shared);
        match held.advance(&mut self.service, &mut self.buffer) {
            Progress::Waiting => self.keep(held),
            Progress::Finished => leave(self.shared.row()),
        }
    }

    /// Leaves a connection to the room. One that has no answer yet and finds no place gets 503.
    fn keep(&mut self, mut held: Held) {
        let placed = self.room.find_place(&mut held.connection);
        let turned_away = !held.is_answered() && (!placed || self.is_full(&held.connection));
        if turned_away && held.turn_away(&mut self.service) == Progress::Finished {
            return leave(self.shared.row());
        }
        if placed {
            return self.room.admit(held);
        }
        held.drain();
        leave(self.shared.row());
    }

    /// Whether a connection that would have to wait is one too many. Those that only linger do not count: the room bounds them.
    fn is_full(&self, connection: &Connection) -> bool {
        let Shared { settings, board, descriptors, .. } = self.shared;
        !descriptors.may_be_held(connection.stream.as_raw_fd())
            || settings.max_connections.is_some_and(|most| board.waiting_connections() > most)
    }

    /// The instance stops, and the supervisor has closed the queues to new connections: takes what still waits in them. One that
    /// was told to leave before the instance was does so before the supervisor has made the sockets non-blocking.
    fn empty_queues(&mut self) {
        for index in 0..self.sockets.len() {
            if net::set_nonblocking(self.sockets[index].as_fd(), true).is_err() {
                continue;
            }
            while let Ok(Some(accepted)) = socket::take(self.sockets[index].as_fd()) {
                self.take(accepted);
            }
        }
    }
}

/// The worker no longer holds a connection.
fn leave(row: &Row) {
    subtract(&row.open, 1);
}

/// Waits until every accepted connection is served, bounded by the grace period. Its handlers go on without the worker; a stop
/// of the instance waits for them.
fn finish(shared: &Shared, room: &Room) {
    let deadline = Instant::now() + shared.settings.grace;
    room.hurry();
    while !room.is_empty() && Instant::now() < deadline {
        std::thread::sleep(TICK);
    }
}
