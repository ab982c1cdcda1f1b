//! From a whole request to its answer: a launched handler, a measuring answer, or a refusal. One per thread.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tracing::field::display;

use super::areas;
use super::connection::{self, Connection};
use super::first_steps::hint;
use super::handler_watch::HandlerWatch;
use super::shared::Shared;
use super::timer::GRAIN;
use crate::cgi::launch::{Client, Launched, Launcher, Terms};
use crate::http::forwarded::Origin;
use crate::http::refusal::{FULL, KINDS, Refusal};
use crate::http::request::Head;
use crate::http::response::{self, Moved};
use crate::listener::address::Shown;
use crate::scoreboard::{REFUSALS, add, clients};
use crate::server::file_record::{self, Starter};
use crate::server::keeper::note::{self, Launch};
use crate::server::logging::Asked;
use crate::server::logging::access::Response;
use crate::server::responders::Respond;
use crate::server::today;
use crate::sys::{clock::monotonic_ns, net, signal};

/// The path of an OPTIONS request for the server as a whole.
const WHOLE_SERVER: &str = "*";

const _: () = assert!(KINDS.len() == REFUSALS);

/// What to do with a connection after its request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Close our copy; a handler may have its own.
    Close,
    /// Keep it open for another request.
    KeepAlive,
    /// Shut down our side and drain what the client still sends, so that no RST overtakes our answer.
    Linger,
}

/// A request that has been read whole.
#[derive(Debug)]
pub struct Request<'a> {
    pub connection: &'a Connection,
    pub head: &'a Head<'a, 'a>,
    /// The handler's standard input; /dev/null without one.
    pub body: Option<OwnedFd>,
    /// `CONTENT_LENGTH`.
    pub length: Option<u64>,
    /// Local redirects that led to it.
    pub hops: u8,
}

/// Answers requests for one thread of a worker.
#[derive(Debug)]
pub struct Service {
    pub(super) shared: &'static Shared,
    pub(super) launcher: Launcher<'static>,
    /// Serves clients that had to be waited for: they yield descriptors to new ones.
    slow: bool,
    /// Measuring answers; index 1 keeps the connection alive.
    fixed: [Vec<u8>; 2],
    fixed_heads: [Vec<u8>; 2],
}

impl Service {
    /// Makes one for the calling thread. `slow`: it is the second thread, which serves slow clients, and whose signal mask
    /// handlers must not inherit.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(shared: &'static Shared, slow: bool) -> io::Result<Self> {
        let terms = Terms { stderr: &shared.stderr, clear_mask: slow, leases: Some(shared.leases.as_fd()) };
        let answers =
            |head_only| [false, true].map(|alive| response::fixed(shared.number as u64, alive, head_only));
        Ok(Self {
            shared,
            launcher: Launcher::new(terms, areas::areas(shared))?,
            slow,
            fixed: answers(false),
            fixed_heads: answers(true),
        })
    }

    /// Whether requests go to handlers.
    pub fn is_cgi(&self) -> bool {
        self.shared.settings.respond == Respond::Cgi
    }

    /// Checks the path before the body is read.
    ///
    /// # Errors
    /// 404 or 403; in mounts also 308 and 405.
    pub fn admit(&mut self, head: &Head<'_, '_>) -> Result<(), Refusal> {
        if self.is_cgi() && head.path != WHOLE_SERVER { self.launcher.find(head).map(drop) } else { Ok(()) }
    }

    pub fn answer(&mut self, request: Request<'_>) -> After {
        if !self.is_cgi() {
            self.measure(request.connection, request.head)
        } else if request.head.path == WHOLE_SERVER {
            self.answer_options(request.connection, request.head)
        } else {
            self.launch(request)
        }
    }

    fn launch(&mut self, request: Request<'_>) -> After {
        // A launch needs a descriptor for a moment. One must be left for the connection that the acceptor waits for.
        if self.slow && self.shared.watch.is_some() && self.shared.descriptors.spare().is_err() {
            return self.refuse(request.connection, Asked::Request(request.head), &FULL, &"");
        }
        match self.reserve(request.connection, request.head) {
            Err(limit) => self.at_the_limit(limit, request),
            Ok(limited) => self.launch_reserved(request, limited),
        }
    }

    /// Launches a handler whose slot is reserved, that of its client too if it is `limited`.
    pub(super) fn launch_reserved(
        &mut self,
        mut request: Request<'_>,
        limited: Option<clients::Client>,
    ) -> After {
        let (body, content_length) = (request.body.take(), request.length);
        let Request { connection, head, .. } = request;
        let (row, watch) = (self.shared.row(), self.shared.watch.as_ref());
        let origin = connection.origin(Asked::Request(head), &self.shared.proxies);
        let is_file = self.shared.settings.is_of_files(self.launcher.area(head.path));
        let record = if is_file { self.record(connection, head, &origin) } else { Vec::new() };
        let stream = connection.stream.as_fd();
        let client = Client { stream, origin: &origin, body, content_length, record: &record };
        let begun = Instant::now();
        match self.launcher.launch(head, &client, watch.is_some()) {
            Ok(launched) => {
                add(&row.launched, 1);
                log_launch(&origin, head, &launched, begun, is_file);
                match watch.map(|watch| self.report(watch, &request, launched, begun, limited)) {
                    Some(Err(error)) => self.refuse(connection, Asked::Request(head), &FULL, &error),
                    _ => After::Close,
                }
            }
            Err(failure) => {
                self.release(head, limited);
                match failure.cause {
                    Some(cause) => {
                        add(&row.launch_failures, 1);
                        self.refuse(connection, Asked::Request(head), &failure.refusal, &cause)
                    }
                    None => self.refuse(connection, Asked::Request(head), &failure.refusal, &""),
                }
            }
        }
    }

    /// What the process that serves a file needs to record it.
    fn record(
        &self,
        connection: &Connection,
        head: &Head<'_, '_>,
        origin: &Origin<'_>,
    ) -> Vec<(&'static str, Vec<u8>)> {
        let Shared { settings, board, slot, .. } = self.shared;
        let starter = Starter { settings, board, slot: *slot };
        let entry = connection::entry(origin, Asked::Request(head));
        file_record::variables(starter, entry.as_ref(), connection.begun.elapsed())
    }

    /// Reports a launch to the keeper, and leaves the client to it if it relays the response.
    ///
    /// # Errors
    /// The process has no free descriptor to keep the client until the keeper can have it.
    fn report(
        &self,
        watch: &HandlerWatch,
        request: &Request<'_>,
        launched: Launched,
        begun: Instant,
        limited: Option<clients::Client>,
    ) -> io::Result<()> {
        let (shared, Launched { started, program, output }) = (self.shared, launched);
        let &Request { connection, head, hops, .. } = request;
        let age = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(0);
        let noted = self.noted(program.area, limited);
        if shared.settings.shares_are_noted() {
            shared.board.mounts().inspect(|mounts| mounts.note(started.pid, noted));
        }
        let (kept, whole) = if output.is_some() { note::kept(head.bytes) } else { (Vec::new(), true) };
        let relayed = output.is_some().then(|| {
            let origin = connection.origin(Asked::Request(head), &shared.proxies);
            let user = origin.user.unwrap_or_default().to_vec();
            let (peer, client, response) = (connection.peer, origin.client, program.response);
            note::Request { peer, client, user, hops, response, head: kept, whole }
        });
        let launch = Launch {
            ordinal: 0,
            slot: shared.slot as u32,
            number: shared.number as u32,
            worker: std::process::id().cast_signed(),
            pid: started.pid,
            started_ns: monotonic_ns().saturating_sub(age),
            timeout: noted.timeout,
            shares: noted.shares,
            timeout_of_unknown: shared.settings.timeout_of_unknown(),
            outcome: watch.outcomes,
            name: program.route.name().into(),
            relayed,
        };
        let client = output.is_some().then(|| connection.stream.as_fd());
        let owned: Vec<OwnedFd> = output.into_iter().chain(started.pidfd).collect();
        let highest = owned.iter().map(AsRawFd::as_raw_fd).max();
        let kept = watch.report(shared.row(), client, owned, launch)?;
        if kept {
            highest.inspect(|&highest| shared.descriptors.taken(highest));
            shared.timer.arm(Instant::now() + GRAIN, GRAIN);
        }
        Ok(())
    }

    fn measure(&mut self, connection: &Connection, head: &Head<'_, '_>) -> After {
        if let Some(occupy) = &self.shared.occupy {
            occupy.lock().unwrap_or_else(PoisonError::into_inner).occupy(head.query);
        }
        let answers = if head.method == "HEAD" { &self.fixed_heads } else { &self.fixed };
        // A worker that stops announces the close: a client counts on a connection that was kept alive.
        let keep_alive = head.keep_alive && !signal::stopped();
        let answer = &answers[usize::from(keep_alive)];
        let sent = net::send(&connection.stream, answer).is_ok_and(|n| n == answer.len());
        self.count(200);
        let asked = Asked::Request(head);
        let origin = connection.origin(asked, &self.shared.proxies);
        tracing::info!(
            peer = %Shown(origin.client),
            method = head.method,
            target = head.target,
            outcome = if sent { "200" } else { "client gone" },
        );
        connection.record(&origin, asked, 200, answer, sent);
        if sent && keep_alive { After::KeepAlive } else { After::Close }
    }

    fn answer_options(&self, connection: &Connection, head: &Head<'_, '_>) -> After {
        let answer = response::present(&today::now());
        let sent = net::send(&connection.stream, &answer).is_ok();
        self.count(200);
        let asked = Asked::Request(head);
        let origin = connection.origin(asked, &self.shared.proxies);
        connection.record(&origin, asked, 200, &answer, sent);
        let peer = Shown(origin.client);
        tracing::info!(peer = %peer, method = head.method, target = head.target, outcome = 200);
        if sent { After::Linger } else { After::Close }
    }

    /// Sends an answer of the server's own.
    pub fn refuse(
        &self,
        connection: &Connection,
        asked: Asked<'_>,
        refusal: &Refusal,
        cause: &dyn Display,
    ) -> After {
        let (method, target, received) = match asked {
            Asked::Request(head) => (Some(head.method), Some(head.target), None),
            Asked::Bytes(_) => (None, None, asked.excerpt()),
        };
        let moved = match asked {
            Asked::Request(head) if refusal.status == 308 => {
                Some(Moved::to_folder(head.method, head.path, head.query))
            }
            _ => None,
        };
        let status = moved.as_ref().map_or(refusal.status, |moved| moved.status);
        let hint = hint(asked, refusal, &self.shared.settings);
        let answer = response::refuse(refusal, moved.as_ref(), hint, method == Some("HEAD"), &today::now());
        let sent = net::send(&connection.stream, &answer).is_ok();
        self.count(status);
        add(&self.shared.row().refused[refusal.kind()], 1);
        let origin = connection.origin(asked, &self.shared.proxies);
        connection.record(&origin, asked, status, &answer, sent);
        let cause = cause.to_string();
        let reason =
            if cause.is_empty() { refusal.reason.to_owned() } else { format!("{}: {cause}", refusal.reason) };
        let peer = Shown(origin.client);
        if status == 500 {
            tracing::error!(peer = %peer, method, target, received, outcome = status, reason);
        } else {
            tracing::info!(peer = %peer, method, target, received, outcome = status, reason);
        }
        if sent { After::Linger } else { After::Close }
    }

    fn count(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.shared.row().answered[class].fetch_add(1, Relaxed);
    }
}

/// Logs a launch. A response that is relayed is logged when it ends.
fn log_launch(origin: &Origin<'_>, head: &Head<'_, '_>, launched: &Launched, begun: Instant, is_file: bool) {
    let handler = display(OsStr::from_bytes(launched.program.route.name()).display());
    let (peer, pid, launch_us) =
        (display(Shown(origin.client)), launched.started.pid, micros(begun.elapsed()));
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                peer,
                method = head.method,
                target = head.target,
                handler,
                outcome = "launched",
                pid,
                launch_us
            )
        };
    }
    if launched.output.is_some() {
        return log!(debug);
    }
    log!(info);
    if is_file {
        return; // it records itself
    }
    // Only the client sees what the handler answers.
    connection::entry(origin, Asked::Request(head)).inspect(|entry| entry.finish(&Response::default()));
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
