//! The acceptor: the worker's main thread. It blocks in accept() and serves each request that has arrived in one piece.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::service::{After, Request, Service};
use super::shared::Shared;
use super::shortage::Shortage;
use super::slow_connection::{Progress, SlowConnection};
use super::slow_connections::SlowConnections;
use crate::http::refusal::{FULL, PER_CLIENT};
use crate::http::request::{self, Framing};
use crate::listener::{self, Accepted, socket};
use crate::scoreboard::{Row, State, add, subtract};
use crate::sys::map::Pages;
use crate::sys::{image, net, signal};

/// A request whose head fits is read with one system call.
const READ_BYTES: usize = 16 * 1024;
/// Calls of accept() after which a worker has run what only the first connections need.
const FIRST: u32 = 100;
/// How often a stopping worker checks whether it is done.
const TICK: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Acceptor {
    shared: &'static Shared,
    connections: &'static SlowConnections,
    strategy: Box<dyn listener::Acceptor>,
    sockets: Vec<OwnedFd>,
    leaves_queue: bool,
    shortage: Shortage,
    service: Service,
    buffer: Pages,
    /// How many of the first calls are still to come.
    first: u32,
}

impl Acceptor {
    /// # Errors
    /// `ENOMEM`.
    pub fn new(
        shared: &'static Shared,
        connections: &'static SlowConnections,
        strategy: Box<dyn listener::Acceptor>,
        sockets: Vec<OwnedFd>,
        leaves_queue: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            shared,
            connections,
            strategy,
            sockets,
            leaves_queue,
            shortage: Shortage::default(),
            service: Service::new(shared, false)?,
            buffer: Pages::new(READ_BYTES)?,
            first: FIRST,
        })
    }

    /// Accepts until a stop signal, then finishes what was accepted.
    pub fn run(mut self) {
        let row = self.shared.row();
        while !signal::stopped() {
            match self.shared.descriptors.spare().and_then(|()| self.strategy.accept(row)) {
                Ok(accepted) => {
                    self.shortage.is_over();
                    self.take_batch(accepted);
                    self.count_down();
                }
                Err(error) => self.shortage.stand_back(&error),
            }
        }
        row.state.store(State::Stopping as u64, Relaxed);
        for accepted in self.strategy.leave(row) {
            self.take(accepted);
        }
        if self.shared.board.header().closing.load(SeqCst) != 0 && !self.leaves_queue {
            self.empty_queues();
        }
        let Self { shared, connections, strategy, sockets, .. } = self;
        drop((strategy, sockets));
        finish(shared, connections);
    }

    /// Drops the code that only the first connections have used.
    fn count_down(&mut self) {
        if self.first > 0 {
            self.first -= 1;
            if self.first == 0 {
                image::forget_pages();
            }
        }
    }

    /// Serves a connection and, with `--accept-batch`, the next ones in the queue.
    fn take_batch(&mut self, first: Accepted) {
        let most = self.shared.settings.accept_batch;
        if most == 1 {
            return self.take(first);
        }
        let mut batch = vec![first];
        while batch.len() < most
            && self.shared.descriptors.spare().is_ok()
            && let Ok(Some(next)) = self.strategy.more(self.shared.row())
        {
            batch.push(next);
        }
        batch.into_iter().for_each(|accepted| self.take(accepted));
    }

    /// Serves a new connection as far as possible without blocking; the background thread does the rest.
    fn take(&mut self, Accepted { stream, peer }: Accepted) {
        if self.shared.board.header().closing.load(Relaxed) != 0 {
            // The listening socket now drops packets of distant clients; this connection must receive them.
            let _ = net::set_least_hops(stream.as_fd(), 0);
        }
        if self.shared.settings.bind.is_unix() {
            // A connection does not inherit it, as one of TCP does.
            let _ = net::set_write_timeout(&stream, self.shared.settings.send_timeout);
        }
        let connection = Connection::new(stream, peer);
        let row = self.shared.row();
        add(&row.accepted, 1);
        add(&row.open, 1);
        let accepted = connection.begun;
        match net::recv(&connection.stream, &mut self.buffer) {
            Ok(0) => leave(row),
            Ok(n) => match self.serve_at_once(&connection, n) {
                Some(After::Close) => leave(row),
                // It has its answer, and its descriptor is needed.
                Some(After::KeepAlive) if self.is_full(&connection) => leave(row),
                Some(after) => {
                    let mut slow = SlowConnection::after(connection, after, self.shared);
                    if slow.hold() || slow.is_answered() { self.keep(slow) } else { leave(row) }
                }
                None => self.hold(connection, n),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.hold(connection, 0),
            Err(_) => leave(row), // the client has closed the connection already
        }
        add(&row.busy_ns, u64::try_from(accepted.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    /// The usual case: the input is one whole request without a body. Returns `None` otherwise.
    fn serve_at_once(&mut self, connection: &Connection, n: usize) -> Option<After> {
        // More input may follow a full buffer, and a close with unread input can destroy the response (RFC 9112 9.6).
        if n == self.buffer.len() {
            return None;
        }
        let mut slots = request::slots();
        let head = request::parse(&self.buffer[..n], &mut slots, &self.shared.limits).ok()??;
        let whole = head.framing == Framing::None && (head.len == n || self.service.is_cgi());
        whole.then(|| {
            self.service.answer(Request { connection, head: &head, body: None, length: None, hops: 0 })
        })
    }

    /// Advances an unusual connection, and leaves it to the background thread if it would block.
    fn hold(&mut self, connection: Connection, n: usize) {
        let mut slow = SlowConnection::new(connection, &self.buffer[..n], self.shared);
        match slow.advance(&mut self.service, &mut self.buffer) {
            Progress::Waiting => self.keep(slow),
            Progress::Finished => leave(self.shared.row()),
        }
    }

    /// Leaves a connection to the background thread. If it is full, or has enough of this client, an unanswered one gets 503
    /// or 429.
    fn keep(&mut self, mut slow: SlowConnection) {
        let placed = self.connections.make_room_for(&mut slow.connection);
        let refusal = match slow.is_answered() {
            true => None,
            false if !placed || self.is_full(&slow.connection) => Some(FULL),
            false => (!slow.hold()).then_some(PER_CLIENT),
        };
        if let Some(refusal) = refusal
            && slow.turn_away(&mut self.service, &refusal) == Progress::Finished
        {
            return leave(self.shared.row());
        }
        if placed && slow.hold() {
            return self.connections.add(slow);
        }
        slow.drain();
        leave(self.shared.row());
    }

    /// Whether it is full of slow connections. Lingering ones do not count: they have a bound of their own.
    fn is_full(&self, connection: &Connection) -> bool {
        let Shared { settings, board, descriptors, .. } = self.shared;
        !descriptors.may_be_held(connection.stream.as_raw_fd())
            || settings.max_connections.is_some_and(|most| board.waiting_connections() > most)
    }

    /// The instance stops, and the supervisor has closed the queues to new connections: serves what still waits in them. A worker
    /// that retires for another reason may get here before the supervisor has made the sockets non-blocking.
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

/// A connection was closed or handed over.
fn leave(row: &Row) {
    subtract(&row.open, 1);
}

/// Waits until every accepted connection is served, for the grace period at most. Handlers outlive the worker; a stop of the
/// instance waits for them.
fn finish(shared: &Shared, connections: &SlowConnections) {
    let deadline = Instant::now() + shared.settings.grace;
    connections.hurry();
    while shared.pending.load(SeqCst) > 0 && Instant::now() < deadline {
        std::thread::sleep(TICK);
    }
}
