//! A connection that is not served in one go: its head or body is still coming, it is kept alive, or it lingers.
//!
//! [`Held::advance`] goes as far as it can without waiting; who calls it, and when, is the acceptor's and the room's affair.

use std::io;
use std::time::{Duration, Instant};

use super::Shared;
use super::connection::Connection;
use super::service::{After, Service};
use crate::cgi::body::Spool;
use crate::http::chunked::Decoder;
use crate::http::refusal::Refusal;
use crate::http::request::{self, Framing};
use crate::http::response;
use crate::sys::net;

/// After an answer of our own, the client's remaining input is read and dropped for so long...
const LINGER: Duration = Duration::from_secs(1);
/// ...and up to so many bytes.
const LINGER_BYTES: usize = 64 * 1024;
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
        let deadline = connection.accepted + shared.settings.header_timeout;
        Self { connection, deadline, input: input.to_vec(), stage: Stage::Head, shared }
    }

    /// A connection whose request was answered, and which is not to be closed yet.
    pub fn after(connection: Connection, after: After, shared: &'static Shared) -> Self {
        let mut held = Self::new(connection, &[], shared);
        held.settle(after);
        held
    }

    /// Whether the client owes us nothing: no byte of a request has come.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Head) && self.input.is_empty()
    }

    /// Uses what has come, reads what is there, and so on, without waiting. `scratch` is what reads go to.
    pub fn advance(&mut self, service: &mut Service, scratch: &mut [u8]) -> Progress {
        for _ in 0..READS_PER_TURN {
            loop {
                match self.consume(service) {
                    Step::Again => {}
                    Step::More => break,
                    Step::Finished => return Progress::Finished,
                }
            }
            match net::recv(&self.connection.stream, scratch) {
                Ok(0) => return Progress::Finished, // the client has left: nothing is owed for half a request
                Ok(n) => self.received(&scratch[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Waiting,
                Err(_) => return Progress::Finished,
            }
        }
        Progress::Waiting
    }

    fn received(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Head => self.input.extend_from_slice(bytes),
            Stage::Body(_) => {
                self.input.extend_from_slice(bytes);
                self.deadline = Instant::now() + self.shared.settings.body_timeout;
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
        let mut input = std::mem::take(&mut self.input);
        let mut slots = request::slots();
        let (after, used) = match request::parse(&input, &mut slots, &self.shared.limits) {
            Ok(None) => {
                self.input = input;
                return Step::More;
            }
            Err(refusal) => (service.refuse(&self.connection, None, &refusal, &""), input.len()),
            Ok(Some(head)) if head.framing == Framing::None || head.framing == Framing::Length(0) => {
                let body = (head.framing == Framing::Length(0)).then(|| empty_body()).flatten();
                (self.whole(service, &head, body), head.len)
            }
            Ok(Some(head)) => match self.begin_body(service, &head) {
                Ok(rest) => {
                    let spool = if service.is_cgi() { Spool::new().ok() } else { None };
                    let rest_of_input = input.split_off(head.len);
                    self.stage = Stage::Body(Body { head: input, spool, rest });
                    self.input = rest_of_input;
                    self.deadline = Instant::now() + self.shared.settings.body_timeout;
                    return Step::Again;
                }
                Err(refusal) => (service.refuse(&self.connection, Some(&head), &refusal, &""), input.len()),
            },
        };
        self.input = input.split_off(used.min(input.len()));
        self.settle(after)
    }
}
