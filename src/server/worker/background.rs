//! The worker's second thread. It advances slow connections, retries queued requests and unsent reports when the timer fires,
//! and writes log lines that have waited long enough. Otherwise it sleeps in epoll_wait.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

use nix::sys::epoll::EpollEvent;

use super::connection::Connection;
use super::max_handlers::Attempt;
use super::service::{After, Request, Service};
use super::shared::Shared;
use super::slow_connection::SlowConnection;
use super::slow_connections::SlowConnections;
use super::timer::GRAIN;
use crate::http::request;
use crate::scoreboard::subtract;
use crate::server::keeper::note;
use crate::server::logging;
use crate::sys::map::Pages;
use crate::sys::{fork, image, signal};

/// Enough for [`Service::answer`] and a launch.
const STACK_BYTES: usize = 256 * 1024;
/// One read from a slow client.
const READ_BYTES: usize = 64 * 1024;
const _: () = assert!(READ_BYTES >= note::BYTES);

/// Starts the thread. `flush_timer` fires when log lines have waited long enough.
///
/// # Errors
/// The thread cannot be created, or its descriptors cannot be watched.
pub fn start(
    shared: &'static Shared,
    connections: &'static SlowConnections,
    flush_timer: BorrowedFd<'_>,
) -> io::Result<()> {
    connections.watch(shared.timer.as_fd())?;
    connections.watch(flush_timer)?;
    shared.watch.as_ref().map_or(Ok(()), |watch| connections.watch_shared(watch.redirects.as_fd()))?;
    let flush_timer = flush_timer.as_raw_fd();
    let run = move || {
        let end = catch_unwind(AssertUnwindSafe(|| {
            Background::new(shared, connections, flush_timer).and_then(Background::run)
        }));
        // A worker without this thread cannot serve slow clients; a replacement can.
        tracing::error!("the worker's second thread ended: {end:?}");
        logging::flush();
        fork::exit_now(101)
    };
    let thread = std::thread::Builder::new().name("background".into()).stack_size(STACK_BYTES);
    signal::with_signals_blocked(|| thread.spawn(run))??;
    Ok(())
}

struct Background {
    shared: &'static Shared,
    connections: &'static SlowConnections,
    flush_timer: RawFd,
    service: Service,
    buffer: Pages,
}

impl Background {
    fn new(
        shared: &'static Shared,
        connections: &'static SlowConnections,
        flush_timer: RawFd,
    ) -> io::Result<Self> {
        let (service, buffer) = (Service::new(shared, true)?, Pages::new(READ_BYTES)?);
        Ok(Self { shared, connections, flush_timer, service, buffer })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 64];
        let timer = self.shared.timer.as_fd().as_raw_fd();
        let redirects = self.shared.watch.as_ref().map(|watch| watch.redirects.as_fd());
        // Most of the code that a worker ever runs is start-up code. Either thread may be set up last, so both drop it.
        image::forget_pages();
        loop {
            let count = match self.connections.wait(&mut events) {
                Err(nix::Error::EINTR) => continue,
                count => count?,
            };
            for event in &events[..count] {
                let fd = event.data() as RawFd;
                if fd == timer {
                    self.on_timer();
                } else if fd == self.flush_timer {
                    logging::disarm();
                    logging::flush();
                } else if let Some(redirects) = redirects.filter(|redirects| redirects.as_raw_fd() == fd) {
                    self.take_redirects(redirects);
                } else {
                    self.advance(fd);
                }
            }
        }
    }

    /// A client has sent something or has closed its connection.
    fn advance(&mut self, fd: RawFd) {
        if let Some(mut slow) = self.connections.take(fd) {
            let progress = slow.advance(&mut self.service, &mut self.buffer);
            self.connections.put_back(slow, progress);
        }
    }

    /// Handlers have redirected requests to other handlers: takes one, and leaves the next to an idle worker.
    fn take_redirects(&mut self, socket: BorrowedFd<'_>) {
        let shared = self.shared;
        // Counted first, so that a worker that is about to end waits for it.
        shared.pending.fetch_add(1, SeqCst);
        if signal::stopped() {
            self.connections.unwatch(socket);
        } else if shared.descriptors.spare().is_ok() {
            self.take_redirect();
        } else {
            // It waits in the socket, which is reported again at once.
            std::thread::sleep(GRAIN);
        }
        shared.pending.fetch_sub(1, SeqCst);
    }

    fn take_redirect(&mut self) {
        let shared = self.shared;
        let Some(watch) = &shared.watch else { return };
        // Another worker may have been faster.
        let Ok((length, Some(stream))) = watch.redirect(&mut self.buffer[..note::BYTES]) else { return };
        let Some(redirected) = note::Request::decode(&self.buffer[..length]) else { return };
        let connection = Connection::new(stream, redirected.peer);
        let mut slots = request::slots();
        // The keeper has parsed it too.
        let Ok(Some(head)) = request::parse(&redirected.head, &mut slots, &shared.limits) else { return };
        let hops = redirected.hops;
        let request = Request { connection: &connection, head: &head, body: None, length: None, hops };
        let after = self.service.answer(request);
        self.settle(connection, after);
    }

    fn on_timer(&mut self) {
        let (now, shared) = (Instant::now(), self.shared);
        shared.timer.fired();
        if shared.watch.as_ref().is_some_and(|watch| watch.retry(shared.row())) {
            shared.timer.arm(now + GRAIN, GRAIN);
        }
        let queued = shared.queue.take_due(now, &shared.timer);
        let expired = self.connections.take_expired(now);
        shared.timer.clear();
        for request in queued {
            match self.service.retry(request) {
                Attempt::Retry(request) => {
                    shared.queue.push(request, &shared.timer);
                    continue;
                }
                Attempt::Answered(connection, after) => self.settle(connection, after),
                Attempt::Refused(connection, after, limit) => {
                    self.settle(connection, after);
                    shared.queue.close(limit);
                }
            }
            subtract(&shared.row().open, 1);
            shared.pending.fetch_sub(1, SeqCst);
        }
        for mut slow in expired {
            let progress = slow.time_out(&mut self.service);
            self.connections.put_back(slow, progress);
        }
    }

    /// A queued request has been answered: keeps its connection if it is not to be closed yet.
    fn settle(&self, connection: Connection, after: After) {
        if after == After::Close {
            return;
        }
        let mut slow = SlowConnection::after(connection, after, self.shared);
        if self.connections.make_room_for(&mut slow.connection) && slow.hold() {
            self.shared.row().open.fetch_add(1, Relaxed);
            self.connections.add(slow);
        } else {
            slow.drain();
        }
    }
}
