//! A connection that is not served in one go: its head or body is still coming, it is kept alive, or it lingers.
//!
//! [`Held::advance`] goes as far as it can without waiting; who calls it, and when, is the acceptor's and the room's affair.

use std::io;
use std::time::Instant;

use super::body::{Body, no_room};
use super::connection::Connection;
use super::linger::Linger;
use super::service::{After, Asked, Service};
use super::{FULL, Shared};
use crate::cgi::body::Spool;
use crate::http::limits::Limits;
use crate::http::refusal::Refusal;
use crate::http::request::{self, Framing, Head};
use crate::http::{response, version};
use crate::scoreboard::add;
use crate::sys::net;

/// Before a launch, so much input beyond the request is dropped.
const SURPLUS_BYTES: usize = 64 * 1024;
/// An unfinished head is parsed again when a line of it has ended or so much more has come: a client that sends it
/// byte by byte must not have it parsed as often.
const WORTH_PARSING: usize = 1024;
/// Reads in a row from one connection, before others get their turn.
const READS_PER_TURN: usize = 16;

/// What came of an [`advance`](Held::advance).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to do until the client sends more, or the deadline passes.
    Waiting,
    /// The connection can be closed.
    Finished,
}

/// A connection, how far it has come, and until when it may stay so.
#[derive(Debug)]
pub struct Held {
    /// The connection.
    pub connection: Connection,
    /// When [`timed_out`](Held::timed_out) is due.
    pub deadline: Instant,
    /// Bytes that came and are not yet used.
    input: Vec<u8>,
    /// How much of `input` was parsed as a head that is not whole.
    parsed: usize,
    stage: Stage,
    shared: &'static Shared,
}

#[derive(Debug)]
enum Stage {
    Head,
    Body(Body),
    Linger(Linger),
}

/// What to do after the input so far was used.
enum Step {
    More,
    Again,
    Finished,
}

impl Held {
    /// A new connection, of which `input` was read.
    pub fn new(connection: Connection, input: &[u8], shared: &'static Shared) -> Self {
        let settings = &shared.settings;
        let time = if input.is_empty() { settings.idle_timeout } else { settings.header_timeout };
        let deadline = connection.accepted + time;
        Self { connection, deadline, input: input.to_vec(), parsed: 0, stage: Stage::Head, shared }
    }

    /// A connection whose request was answered, and which is not to be closed yet.
    pub fn after(connection: Connection, after: After, shared: &'static Shared) -> Self {
        let mut held = Self::new(connection, &[], shared);
        held.settle(after, Some(0));
        held
    }

    /// Since when it lingers, if it does.
    pub fn lingers_since(&self) -> Option<Instant> {
        if let Stage::Linger(linger) = &self.stage { Some(linger.begun()) } else { None }
    }

    /// Whether the client has had its answer.
    pub fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Linger(_))
    }

    /// Whether the client owes us nothing: no byte of a request has come.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Head) && self.input.is_empty()
    }

    /// Uses what has come, reads what is there, and so on, without waiting. `scratch` is what reads go to.
    pub fn advance(&mut self, service: &mut Service, scratch: &mut [u8]) -> Progress {
        let mut reads = 0;
        loop {
            if self.use_input(service) == Progress::Finished {
                return Progress::Finished;
            }
            // Only here may others get their turn: for input that was read but not used nobody would wake us.
            if reads == READS_PER_TURN {
                return Progress::Waiting;
            }
            reads += 1;
            let read = if self.is_answered() { net::discard } else { net::recv };
            match read(&self.connection.stream, scratch) {
                Ok(0) => return Progress::Finished, // the client has left: nothing is owed for half a request
                Ok(n) => self.received(&scratch[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.wait(service),
                Err(_) => return Progress::Finished,
            }
        }
    }

    /// Nothing more is there. A body that is to be waited for has a descriptor of its own, and slow clients may not take all.
    fn wait(&mut self, service: &mut Service) -> Progress {
        if let Stage::Body(Body { spool: Some(spool), .. }) = &self.stage
            && !self.shared.descriptors.may_be_held(spool.descriptor())
        {
            return self.turn_away(service);
        }
        Progress::Waiting
    }

    /// The client would have to be waited for, and there is no room for it.
    pub fn turn_away(&mut self, service: &mut Service) -> Progress {
        match self.refuse(service, &FULL) {
            Step::Finished => Progress::Finished,
            _ => Progress::Waiting,
        }
    }

    /// An answer of our own in the place of the handler's, at whatever point the request has come to.
    fn refuse(&mut self, service: &mut Service, refusal: &Refusal) -> Step {
        let (mut slots, any_size) = (request::slots(), Limits { body: u64::MAX, ..self.shared.limits });
        let (bytes, body) = match &self.stage {
            Stage::Body(body) => (&body.head, Some(body)),
            _ => (&self.input, None),
        };
        // Also of one that is refused for the length of its body: how much will come, and what to log.
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
                    self.deadline = Instant::now() + self.shared.settings.header_timeout;
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
        let after = service.answer(&self.connection, &head, None, length);
        self.input = input[head.len..].to_vec();
        self.settle(after, Some(0))
    }

    /// The head is there and announces a body: decides whether it is wanted, and asks for it.
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
        // A client that has begun to send does not wait for our consent (RFC 9110 10.1.1).
        if head.expect_continue && self.input.is_empty() {
            let _ = net::send(&self.connection.stream, response::CONTINUE);
        }
        let most = self.shared.limits.body;
        let body = Body::new(&input[..head.len], spool, head.framing, self.input.len(), most);
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

    /// The body is whole: answers.
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
        let after = service.answer(&self.connection, &head, spool.map(Spool::finish), length);
        self.settle(after, Some(0))
    }

    /// Drops input that is there beyond the request, so that no RST at the close takes the response along.
    pub fn drain(&self) {
        let mut scratch = [0; 4096];
        let mut budget = SURPLUS_BYTES / scratch.len();
        while budget > 0 && net::discard(&self.connection.stream, &mut scratch).is_ok_and(|n| n > 0) {
            budget -= 1;
        }
    }

    /// Goes on after an answer, with so much of its request still to come.
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

    /// The deadline has passed. A client that was in the middle of a request is told so.
    pub fn timed_out(&mut self, service: &mut Service) -> Progress {
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
