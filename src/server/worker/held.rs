//! A connection that is not served in one go: its head or body is still coming, it is kept alive, or it lingers.
//!
//! [`Held::advance`] goes as far as it can without waiting; who calls it, and when, is the acceptor's and the room's affair.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::service::{After, Service};
use super::{FULL, Shared};
use crate::cgi::body::Spool;
use crate::http::chunked::Decoder;
use crate::http::refusal::Refusal;
use crate::http::request::{self, Framing, Head};
use crate::http::{response, version};
use crate::scoreboard::add;
use crate::server::config::Settings;
use crate::sys::net;

/// After an answer of our own, the client's remaining input is read and dropped for so long...
const LINGER: Duration = Duration::from_secs(1);
/// ...and up to so many bytes.
const LINGER_BYTES: usize = 64 * 1024;
/// An unfinished head is parsed again when a line of it has ended or so much more has come: a client that sends it
/// byte by byte must not have it parsed as often.
const WORTH_PARSING: usize = 1024;
/// Reads in a row from one connection, before others get their turn.
const READS_PER_TURN: usize = 16;

/// No body is due later, so that no sum of times overflows.
const A_YEAR_S: u64 = 365 * 24 * 3600;

/// The body cannot be kept anywhere: the disk is full (507), or something else is wrong.
fn no_room(error: &io::Error) -> Refusal {
    tracing::error!("a request body could not be stored: {error}");
    let full = matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG));
    Refusal::new(if full { 507 } else { 500 }, "the request body could not be stored")
}

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
    Linger { budget: usize },
}

/// A request whose body is still coming.
#[derive(Debug)]
struct Body {
    /// The bytes of its head, parsed once more when the body is there.
    head: Vec<u8>,
    /// Where the body goes; `None` where nobody reads it.
    spool: Option<Spool>,
    rest: Rest,
    /// When the head was whole, and how much has come since.
    begun: Instant,
    received: u64,
}

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Decoder),
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
        held.settle(after);
        held
    }

    /// Whether the client has had its answer.
    pub fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Linger { .. })
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
            match net::recv(&self.connection.stream, scratch) {
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
            && matches!(self.settle(service.refuse(&self.connection, None, &FULL, &"")), Step::Finished)
        {
            return Progress::Finished;
        }
        Progress::Waiting
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
            Stage::Linger { budget } => *budget = budget.saturating_sub(bytes.len()),
        }
    }

    fn consume(&mut self, service: &mut Service) -> Step {
        match &mut self.stage {
            Stage::Head => self.consume_head(service),
            Stage::Body(_) => self.consume_body(service),
            Stage::Linger { budget: 0 } => Step::Finished,
            Stage::Linger { .. } => Step::More,
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
            Err(refusal) => return self.settle(service.refuse(&self.connection, None, &refusal, &"")),
        };
        if !matches!(head.framing, Framing::None | Framing::Length(0)) {
            return match self.begin_body(service, &head, &input) {
                Ok(()) => Step::Again,
                Err(refusal) => self.settle(service.refuse(&self.connection, Some(&head), &refusal, &"")),
            };
        }
        if service.is_cgi() {
            self.drain();
        }
        let length = (head.framing == Framing::Length(0)).then_some(0);
        let after = service.answer(&self.connection, &head, None, length);
        self.input = input[head.len..].to_vec();
        self.settle(after)
    }

    /// The head is there and announces a body: decides whether it is wanted, and asks for it.
    fn begin_body(
        &mut self,
        service: &mut Service,
        head: &Head<'_, '_>,
        input: &[u8],
    ) -> Result<(), Refusal> {
        service.admit(head)?;
        let spool = service.is_cgi().then(Spool::new).transpose().map_err(|error| no_room(&error))?;
        let rest = match head.framing {
            Framing::Chunked => Rest::Chunked(Decoder::new(self.shared.limits.body)),
            Framing::Length(length) => Rest::Length(length),
            Framing::None => Rest::Length(0),
        };
        self.input = input[head.len..].to_vec();
        // A client that has begun to send does not wait for our consent (RFC 9110 10.1.1).
        if head.expect_continue && self.input.is_empty() {
            let _ = net::send(&self.connection.stream, response::CONTINUE);
        }
        let (begun, received) = (Instant::now(), self.input.len() as u64);
        let body = Body { head: input[..head.len].to_vec(), spool, rest, begun, received };
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
            Err(refusal) => {
                let head = std::mem::take(&mut body.head);
                let mut slots = request::slots();
                let head = request::parse(&head, &mut slots, &self.shared.limits).ok().flatten();
                self.settle(service.refuse(&self.connection, head.as_ref(), &refusal, &""))
            }
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
        let after = match spool.map(Spool::finish).transpose() {
            Ok(body) => service.answer(&self.connection, &head, body, length),
            Err(error) => service.refuse(&self.connection, Some(&head), &no_room(&error), &""),
        };
        self.settle(after)
    }

    /// Drops input that is there beyond the request, so that no RST at the handler's close takes its response along.
    fn drain(&mut self) {
        let mut scratch = [0; 4096];
        let mut budget = LINGER_BYTES / scratch.len();
        while budget > 0 && net::recv(&self.connection.stream, &mut scratch).is_ok_and(|n| n > 0) {
            budget -= 1;
        }
    }

    /// Goes on after an answer.
    fn settle(&mut self, after: After) -> Step {
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
                self.stage = Stage::Linger { budget: LINGER_BYTES };
                self.deadline = Instant::now() + LINGER;
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
        match self.settle(service.refuse(&self.connection, None, &refusal, &"")) {
            Step::Finished => Progress::Finished,
            _ => Progress::Waiting,
        }
    }
}

impl Body {
    /// Until when more of it must have come: some of it within the time-out, and on the whole no less than the least rate, to
    /// which the time-out is added once.
    fn deadline(&self, settings: &Settings) -> Instant {
        let progress = Instant::now() + settings.body_timeout;
        let Some(seconds) = self.received.checked_div(settings.min_rate) else { return progress };
        let rate = self.begun + settings.body_timeout + Duration::from_secs(seconds.min(A_YEAR_S));
        progress.min(rate)
    }

    /// Takes from `input` what belongs to the body: how many bytes were used, and whether the body is whole.
    fn take(&mut self, input: &[u8], directory: &Path) -> Result<(usize, bool), Refusal> {
        let decoded;
        let (data, used, complete) = match &mut self.rest {
            Rest::Length(left) => {
                let n = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= n as u64;
                (&input[..n], n, *left == 0)
            }
            Rest::Chunked(decoder) => {
                let (used, complete);
                (decoded, used, complete) = decode(decoder, input)?;
                (&decoded[..], used, complete)
            }
        };
        if let Some(spool) = &mut self.spool {
            spool.write(data, directory).map_err(|error| no_room(&error))?;
        }
        Ok((used, complete))
    }
}

/// What chunks in `input` hold, in one piece: a client that sends chunks of one byte must not cost a system call for each. Then
/// how much of it was used, and whether the body is whole.
fn decode(decoder: &mut Decoder, input: &[u8]) -> Result<(Vec<u8>, usize, bool), Refusal> {
    let (mut data, mut used) = (Vec::with_capacity(input.len()), 0);
    loop {
        let progress = decoder.decode(&input[used..])?;
        data.extend_from_slice(progress.data);
        used += progress.consumed;
        if progress.finished || progress.consumed == 0 {
            return Ok((data, used, progress.finished));
        }
    }
}
