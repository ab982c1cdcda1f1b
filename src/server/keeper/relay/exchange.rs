//! One relayed response: from a program's output to the client, as far as it goes without blocking.
//!
//! The head is read into memory, which is bounded (`head`); the body passes from the pipe to the socket (`body`). Only one
//! of the two is watched at a time: the output until there is something, the client while it takes nothing. What a client
//! does not take stays in the pipe, and the program waits, as it would for the client itself.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::unistd::read;

use super::Slot;
use super::facts::{End, Ended, Facts};
use crate::http::refusal::Refusal;
use crate::http::response;
use crate::server::today;
use crate::sys::net;

/// Pieces of one response before others have their turn.
const TURNS: usize = 16;
/// What a program may write behind the end of its response; then its output is closed.
pub(super) const SURPLUS: usize = 64 * 1024;

/// What a response waits for.
#[derive(Debug)]
pub enum Next {
    /// More output.
    Output,
    /// A client that takes more.
    Client,
    /// The end of the program, whose output has ended.
    Program,
    /// Another handler, for the target of a local redirect.
    Redirect(Vec<u8>),
    /// Nothing.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Output,
    Client,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// The output so far.
    Head(Vec<u8>),
    /// Bytes left of the chunk whose size was sent.
    Chunked(usize),
    /// Bytes left of the announced length.
    Length(u64),
    UntilClose,
    /// The client has all that is for it. Up to this many bytes more are dropped, so that a program which writes a little
    /// too much is not killed for it.
    Rest(usize),
    /// What is left to send was put together.
    Last,
}

#[derive(Debug)]
pub struct Relay {
    pub facts: Facts,
    /// `None` once the client has all that is for it.
    pub(super) client: Option<OwnedFd>,
    /// Non-blocking.
    pub(super) output: OwnedFd,
    pub(super) stage: Stage,
    /// To be sent before anything else.
    pub(super) unsent: Vec<u8>,
    watched: Option<Side>,
    pub(super) output_ended: bool,
    /// The client's socket is non-blocking, as splice needs it.
    pub(super) nonblocking: bool,
    /// Splice is refused here.
    pub(super) copies: bool,
    pub(super) minor: u8,
    pub(super) head_only: bool,
    /// What was the program's and is this response's now.
    pub slot: Option<Slot>,
    /// When it is cut.
    pub limit: Option<Instant>,
    /// When it is given up unless its client takes something...
    pub stalled: Option<Instant>,
    /// ...of this many bytes.
    untaken: usize,
}

impl Relay {
    /// A response to HTTP/1.`minor`; `head_only`: to HEAD.
    pub fn new(facts: Facts, client: OwnedFd, output: OwnedFd, minor: u8, head_only: bool) -> Self {
        // The program has the other end of the pipe, whose mode is its own.
        if let Err(error) = fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)) {
            tracing::error!("cannot make the output of a handler non-blocking: {error}");
        }
        Self {
            facts,
            client: Some(client),
            output,
            stage: Stage::Head(Vec::new()),
            unsent: Vec::new(),
            watched: None,
            output_ended: false,
            nonblocking: false,
            copies: false,
            minor,
            head_only,
            slot: None,
            limit: None,
            stalled: None,
            untaken: 0,
        }
    }

    /// Goes as far as possible without blocking. `scratch` is a buffer to read into.
    pub fn advance(&mut self, epoll: &Epoll, scratch: &mut [u8]) -> Next {
        for _ in 0..TURNS {
            match self.send() {
                Ok(true) => {}
                Ok(false) => return Next::Client,
                Err(_) => return self.client_has_gone(),
            }
            if matches!(self.stage, Stage::Rest(_)) {
                self.release_client(epoll, scratch);
            }
            let next = match self.stage {
                Stage::Last => Some(Next::Done),
                _ if self.output_ended => self.conclude(),
                Stage::Head(_) => self.read_head(scratch),
                Stage::Rest(_) => self.drop_output(scratch),
                Stage::Chunked(_) | Stage::Length(_) | Stage::UntilClose => self.pass_on(scratch),
            };
            if let Some(next) = next {
                return next;
            }
        }
        if self.unsent.is_empty() { Next::Output } else { Next::Client }
    }

    /// Sends what is to be sent first. Returns whether the client has taken all of it.
    fn send(&mut self) -> io::Result<bool> {
        let more = matches!(self.stage, Stage::Chunked(1..));
        let mut sent = 0;
        while let (Some(client), true) = (&self.client, sent < self.unsent.len()) {
            let send = if more { net::send_more } else { net::send };
            match send(client.as_fd(), &self.unsent[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unsent.drain(..sent);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = Vec::new();
        Ok(true)
    }

    /// How long its client may take nothing from now on. `None` on TCP, where the kernel sees to it.
    pub fn patience(&mut self) -> Option<Duration> {
        let client = self.client.as_ref()?;
        let patience = net::write_timeout(client).ok().flatten()?;
        self.untaken = net::untaken(client.as_fd()).unwrap_or(0);
        Some(patience)
    }

    /// Whether its client has taken something since then. A socket is reported as writable much later: when most of its buffer
    /// is free.
    pub fn is_taken(&self) -> bool {
        self.client.as_ref().is_some_and(|client| net::untaken(client.as_fd()).unwrap_or(0) < self.untaken)
    }

    pub(super) fn client_has_gone(&mut self) -> Next {
        (self.facts.end, self.facts.reason) = (End::ClientGone, None);
        Next::Done
    }

    /// Reads output, if there is some. 0 is its end.
    pub(super) fn read(&mut self, scratch: &mut [u8]) -> Option<usize> {
        match read(&self.output, scratch) {
            Ok(0) => self.output_ended = true,
            Ok(n) => return Some(n),
            Err(Errno::EINTR | Errno::EAGAIN) => return None,
            Err(_) => self.output_ended = true,
        }
        Some(0)
    }

    fn drop_output(&mut self, scratch: &mut [u8]) -> Option<Next> {
        let Some(n) = self.read(scratch) else { return Some(Next::Output) };
        let Stage::Rest(left) = &mut self.stage else { return None };
        match left.checked_sub(n) {
            Some(less) => {
                *left = less;
                None
            }
            None => Some(Next::Done),
        }
    }

    /// The output has ended: ends the response, when it is known how the program ended.
    fn conclude(&mut self) -> Option<Next> {
        let Some(program) = self.facts.program else { return Some(Next::Program) };
        match &self.stage {
            Stage::Head(_) if program.timed_out => {
                self.refuse(Refusal::new(504, "the handler exceeded its timeout"));
            }
            Stage::Head(text) if text.is_empty() => {
                self.refuse(Refusal::new(500, "the handler ended without a response"));
            }
            Stage::Head(_) => {
                self.refuse(Refusal::new(502, "the output ends within the head of the response"));
            }
            Stage::Length(_) => return Some(self.cut("the output is shorter than its Content-Length")),
            Stage::Chunked(_) | Stage::UntilClose if program.is_violent() => {
                return Some(self.cut("the handler was killed"));
            }
            Stage::Chunked(_) => {
                self.unsent = b"0\r\n\r\n".to_vec();
                self.stage = Stage::Last;
            }
            Stage::UntilClose | Stage::Rest(_) | Stage::Last => return Some(Next::Done),
        }
        None
    }

    /// Ends a response after its head, without what would mark its end.
    fn cut(&mut self, reason: &'static str) -> Next {
        (self.facts.end, self.facts.reason) = (End::Cut, Some(reason));
        Next::Done
    }

    /// Answers in the program's place. Call [`advance`](Self::advance) to send that.
    pub fn refuse(&mut self, refusal: Refusal) {
        let Facts { status, end, reason, .. } = &mut self.facts;
        (*status, *end, *reason) = (refusal.status, End::Refused, Some(refusal.reason));
        self.unsent = response::refuse(&refusal, None, "", self.head_only, &today::now());
        self.facts.bytes = response::body_bytes(&self.unsent);
        self.stage = Stage::Last;
    }

    /// Ends it at once: the client gets the server's answer, as far as it takes it now, or what it has.
    pub fn abandon(&mut self, epoll: &Epoll, refusal: Refusal) {
        match self.stage {
            Stage::Head(_) => {
                self.refuse(refusal);
                self.advance(epoll, &mut []);
            }
            Stage::Rest(_) | Stage::Last => {}
            _ => drop(self.cut(refusal.reason)),
        }
    }

    /// Another handler has the client now.
    pub fn redirected(&mut self) {
        self.facts.end = End::Redirected;
    }

    pub fn client(&self) -> Option<&OwnedFd> {
        self.client.as_ref()
    }

    /// The program has ended. Returns whether only that was waited for.
    pub fn program_ended(&mut self, ended: Ended) -> bool {
        self.facts.program.get_or_insert(ended);
        self.awaits_program()
    }

    /// Whether only the end of the program is waited for.
    pub fn awaits_program(&self) -> bool {
        self.output_ended && self.watched.is_none()
    }

    /// Closes the client's connection; what it has sent meanwhile is dropped, so that no RST destroys the response.
    fn release_client(&mut self, epoll: &Epoll, scratch: &mut [u8]) {
        if self.watched == Some(Side::Client) {
            self.unwatch(epoll);
        }
        if let Some(client) = self.client.take().filter(|_| self.facts.end != End::Redirected) {
            let _ = net::discard(&client, scratch);
        }
    }

    /// Watches one side, or none.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`.
    pub fn watch(&mut self, epoll: &Epoll, key: u64, side: Option<Side>) -> nix::Result<()> {
        if self.watched == side {
            return Ok(());
        }
        self.unwatch(epoll);
        match side {
            Some(Side::Output) => epoll.add(&self.output, EpollEvent::new(EpollFlags::EPOLLIN, key))?,
            Some(Side::Client) => match &self.client {
                Some(client) => epoll.add(client, EpollEvent::new(EpollFlags::EPOLLOUT, key))?,
                None => return Ok(()),
            },
            None => {}
        }
        self.watched = side;
        Ok(())
    }

    /// Explicitly, before a descriptor is closed: its sender may still have a copy, and then closing it does not end the
    /// watch.
    pub fn unwatch(&mut self, epoll: &Epoll) {
        let _ = match (self.watched.take(), &self.client) {
            (Some(Side::Output), _) => epoll.delete(&self.output),
            (Some(Side::Client), Some(client)) => epoll.delete(client),
            _ => Ok(()),
        };
    }
}
