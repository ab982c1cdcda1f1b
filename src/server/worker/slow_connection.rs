//! A connection that is not served in one go: its head or body is still arriving, it is kept alive, or it lingers.
//!
//! [`SlowConnection::advance`] goes as far as it can without blocking.

use std::io;
use std::time::Instant;

use super::body::{Body, no_room};
use super::connection::Connection;
use super::linger::Linger;
use super::per_client::Held;
use super::service::{After, Request, Service};
use super::shared::Shared;
use crate::cgi::body::Spool;
use crate::http::limits::Limits;
use crate::http::refusal::{FULL, Refusal};
use crate::http::request::{self, Framing, Head};
use crate::http::{response, version};
use crate::scoreboard::add;
use crate::server::logging::Asked;
use crate::sys::net;

/// Before a launch, up to this much input beyond the request is dropped.
const SURPLUS_BYTES: usize = 64 * 1024;
/// An incomplete head is parsed again only after the end of a line or this many more bytes, so that a client cannot
/// have it parsed for every byte.
const WORTH_PARSING: usize = 1024;
/// Consecutive reads from one connection before others get their turn.
const READS_PER_TURN: usize = 16;

/// The result of [`advance`](SlowConnection::advance).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to do until the client sends more or the deadline passes.
    Waiting,
    /// The connection can be closed.
    Finished,
}

/// A connection with its state and deadline.
#[derive(Debug)]
pub struct SlowConnection {
    pub connection: Connection,
    /// When [`time_out`](SlowConnection::time_out) is due.
    pub deadline: Instant,
    /// Received bytes that are not consumed yet.
    input: Vec<u8>,
    /// How much of `input` has been parsed as an incomplete head.
    parsed: usize,
    stage: Stage,
    /// Its place among the connections of its client.
    held: Option<Held>,
    shared: &'static Shared,
}

#[derive(Debug)]
enum Stage {
    Head,
    Body(Body),
    Linger(Linger),
}

/// What to do after a step over the input.
enum Step {
    More,
    Again,
    Finished,
}

impl SlowConnection {
    /// A new connection, with the `input` read so far.
    pub fn new(connection: Connection, input: &[u8], shared: &'static Shared) -> Self {
        let settings = &shared.settings;
        let time = if input.is_empty() { settings.idle_timeout } else { settings.header_timeout };
        let deadline = connection.begun + time;
        let input = input.to_vec();
        Self { connection, deadline, input, parsed: 0, stage: Stage::Head, held: None, shared }
    }

    /// A connection that stays open after its request was answered.
    pub fn after(connection: Connection, after: After, shared: &'static Shared) -> Self {
        let mut slow = Self::new(connection, &[], shared);
        slow.settle(after, Some(0));
        slow
    }

    /// When it began to linger, if it lingers.
    pub fn lingers_since(&self) -> Option<Instant> {
        if let Stage::Linger(linger) = &self.stage { Some(linger.begun()) } else { None }
    }

    /// Whether the answer has been sent.
    pub fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Linger(_))
    }

    /// Takes a place among the connections of the client, unless it has one. Returns whether there is one.
    pub fn hold(&mut self) -> bool {
        let lingers = self.is_answered();
        self.held = self.held.take().or_else(|| Held::take(self.shared, &self.connection, lingers));
        self.held.is_some()
    }

    /// Whether no byte of a request has arrived.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Head) && self.input.is_empty()
    }

    /// Consumes input and reads more, until reading would block. `scratch` is the read buffer.
    pub fn advance(&mut self, service: &mut Service, scratch: &mut [u8]) -> Progress {
        let mut reads = 0;
        loop {
            if self.use_input(service) == Progress::Finished {
                return Progress::Finished;
            }
            // Yield only here: epoll does not report input that was read but not consumed.
            if reads == READS_PER_TURN {
                return Progress::Waiting;
            }
            reads += 1;
            let read = if self.is_answered() { net::discard } else { net::recv };
            match read(&self.connection.stream, scratch) {
                Ok(0) => return Progress::Finished, // the client closed in the middle of a request: no answer
                Ok(n) => self.received(&scratch[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.wait(service),
                Err(_) => return Progress::Finished,
            }
        }
    }

    /// Reading would block. A body in a file occupies a descriptor, and slow clients must not use them all up.
    fn wait(&mut self, service: &mut Service) -> Progress {
        if let Stage::Body(Body { spool: Some(spool), .. }) = &self.stage
            && !self.shared.descriptors.may_be_held(spool.descriptor())
        {
            return self.turn_away(service, &FULL);
        }
        Progress::Waiting
    }

    /// Answers: the client would have to be waited for, and all places are taken.
    pub fn turn_away(&mut self, service: &mut Service, refusal: &Refusal) -> Progress {
        match self.refuse(service, refusal) {
            Step::Finished => Progress::Finished,
            _ => Progress::Waiting,
        }
    }

    /// Sends an answer of the server's own instead of a handler's, wherever the request has got to.
    fn refuse(&mut self, service: &mut Service, refusal: &Refusal) -> Step {
        let (mut slots, any_size) = (request::slots(), Limits { body: u64::MAX, ..self.shared.limits });
        let (bytes, body) = match &self.stage {
            Stage::Body(body) => (&body.head, Some(body)),
            _ => (&self.input, None),
        };
        // Parsed with any body size, to learn what to log and how much is still to come, even when the body is too long.
        let head = request::parse(bytes, &mut slots, &any_size).ok().flatten();
        let owed = match (body, &head) {
            (Some(body), _) => body.owed(),
            (None, Some(head)) => match head.framing {
                Framing::None => Some(0),
                Framing::Length(length) => Some(length.saturating_sub((bytes.len() - head.len) as u64)),
                Framing::Chunked => None,
            },
            (None, None) => None,
        };
        let asked = head.as_ref().map_or(Asked::Bytes(bytes), Asked::Request);
        let after = service.refuse(&self.connection, asked, refusal, &"");
        self.settle(after, owed)
    }

    fn use_input(&mut self, service: &mut Service) -> Progress {
        loop {
            match self.consume(service) {
                Step::Again => {}
                Step::More => return Progress::Waiting,
                Step::Finished => return Progress::Finished,
            }
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Head => {
                if self.input.is_empty() {
                    self.connection.begun = Instant::now();
                    self.deadline = self.connection.begun + self.shared.settings.header_timeout;
                }
                self.input.extend_from_slice(bytes);
            }
            Stage::Body(body) => {
                self.input.extend_from_slice(bytes);
                body.received += bytes.len() as u64;
                self.deadline = body.deadline(&self.shared.settings);
            }
            Stage::Linger(linger) => {
                linger.dropped(bytes.len());
                self.deadline = linger.deadline(Instant::now(), self.shared.settings.min_rate);
            }
        }
    }

    fn consume(&mut self, service: &mut Service) -> Step {
        match &mut self.stage {
            Stage::Head => self.consume_head(service),
            Stage::Body(_) => self.consume_body(service),
            Stage::Linger(linger) if linger.is_over() => Step::Finished,
            Stage::Linger(_) => Step::More,
        }
    }

    fn consume_head(&mut self, service: &mut Service) -> Step {
        let news = &self.input[self.parsed..];
        if self.parsed > 0 && news.len() < WORTH_PARSING && !news.contains(&b'\n') {
            return Step::More;
        }
        let mut input = std::mem::take(&mut self.input);
        self.parsed = 0;
        version::lower(&mut input);
        let mut slots = request::slots();
        let head = match request::parse(&input, &mut slots, &self.shared.limits) {
            Ok(Some(head)) => head,
            Ok(None) => {
                (self.parsed, self.input) = (input.len(), input);
                return Step::More;
            }
            Err(refusal) => {
                self.input = input;
                return self.refuse(service, &refusal);
            }
        };
        if !matches!(head.framing, Framing::None | Framing::Length(0)) {
            return match self.begin_body(service, &head, &input) {
                Ok(()) => Step::Again,
                Err(refusal) => {
                    self.input = input;
                    self.refuse(service, &refusal)
                }
            };
        }
        if service.is_cgi() {
            self.drain();
        }
        let length = (head.framing == Framing::Length(0)).then_some(0);
        let after = service.answer(Request {
            connection: &self.connection,
            head: &head,
            body: None,
            length,
            hops: 0,
        });
        self.input = input[head.len..].to_vec();
        self.settle(after, Some(0))
    }

    /// The head announces a body: checks whether it is wanted, and asks for it.
    fn begin_body(
        &mut self,
        service: &mut Service,
        head: &Head<'_, '_>,
        input: &[u8],
    ) -> Result<(), Refusal> {
        service.admit(head)?;
        let spool = || Spool::new(&self.shared.spool_directory).map_err(|error| no_room(&error));
        let spool = service.is_cgi().then(spool).transpose()?;
        self.input = input[head.len..].to_vec();
        // A client that has begun to send does not wait for 100 Continue (RFC 9110 10.1.1).
        if head.expect_continue && self.input.is_empty() {
            let _ = net::send(&self.connection.stream, response::CONTINUE);
        }
        let body = Body::new(&input[..head.len], spool, head.framing, self.input.len(), self.shared);
        self.deadline = body.deadline(&self.shared.settings);
        self.stage = Stage::Body(body);
        Ok(())
    }

    fn consume_body(&mut self, service: &mut Service) -> Step {
        let input = std::mem::take(&mut self.input);
        let Stage::Body(body) = &mut self.stage else { return Step::Again };
        match body.take(&input, &self.shared.spool_directory) {
            Ok((used, complete)) => {
                self.input = input[used..].to_vec();
                if complete { self.finish_body(service) } else { Step::More }
            }
            Err(refusal) => self.refuse(service, &refusal),
        }
    }

    /// Answers, now that the body is complete.
    fn finish_body(&mut self, service: &mut Service) -> Step {
        let Stage::Body(Body { head, spool, .. }) = std::mem::replace(&mut self.stage, Stage::Head) else {
            return Step::Again;
        };
        if service.is_cgi() {
            self.drain();
        }
        let mut slots = request::slots();
        let Ok(Some(head)) = request::parse(&head, &mut slots, &self.shared.limits) else {
            return Step::Finished;
        };
        let length = spool.as_ref().map(Spool::len);
        let body = spool.map(Spool::finish);
        let after =
            service.answer(Request { connection: &self.connection, head: &head, body, length, hops: 0 });
        self.settle(after, Some(0))
    }

    /// Drops received input beyond the request, so that the close sends no RST, which could destroy the response.
    pub fn drain(&self) {
        let mut scratch = [0; 4096];
        let mut budget = SURPLUS_BYTES / scratch.len();
        while budget > 0 && net::discard(&self.connection.stream, &mut scratch).is_ok_and(|n| n > 0) {
            budget -= 1;
        }
    }

    /// Continues after an answer; `owed` bytes of the request are still to come, if known.
    fn settle(&mut self, after: After, owed: Option<u64>) -> Step {
        match after {
            After::Close => return Step::Finished,
            After::KeepAlive => {
                self.stage = Stage::Head;
                let settings = &self.shared.settings;
                let time =
                    if self.input.is_empty() { settings.idle_timeout } else { settings.header_timeout };
                self.deadline = Instant::now() + time;
            }
            After::Linger => {
                let _ = net::shutdown_write(&self.connection.stream);
                self.input = Vec::new();
                let linger = Linger::new(owed);
                self.deadline = linger.deadline(linger.begun(), self.shared.settings.min_rate);
                self.stage = Stage::Linger(linger);
            }
        }
        Step::Again
    }

    /// The deadline has passed: answers 408 if the client is in the middle of a request.
    pub fn time_out(&mut self, service: &mut Service) -> Progress {
        if self.is_idle() || self.is_answered() {
            return Progress::Finished;
        }
        add(&self.shared.row().timeouts, 1);
        let refusal = match self.stage {
            Stage::Head => Refusal::new(408, "the request head took too long"),
            _ => Refusal::new(408, "the request body came too slowly"),
        };
        match self.refuse(service, &refusal) {
            Step::Finished => Progress::Finished,
            _ => Progress::Waiting,
        }
    }
}
