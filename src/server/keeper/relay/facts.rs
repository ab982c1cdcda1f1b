//! What is known of a relayed response, and the one place where it is recorded when it has ended.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tracing::field::display;

use crate::http::forwarded::address_of;
use crate::http::limits::Limits;
use crate::http::request;
use crate::listener::address::Shown;
use crate::scoreboard::{Header, add};
use crate::server::keeper::note::Request;
use crate::server::logging::Asked;
use crate::server::logging::access::{self, Entry, Form};
use crate::sys::fork::Fate;

/// How a program ended, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    pub fate: Option<Fate>,
    pub timed_out: bool,
}

impl Ended {
    /// Whether it was ended from outside, so that its output may stop anywhere.
    pub fn is_violent(self) -> bool {
        self.timed_out || matches!(self.fate, Some(Fate::Killed(_)))
    }
}

/// How a response ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// All of it was sent.
    #[default]
    Whole,
    /// The server's own answer was sent in its place.
    Refused,
    /// It was cut off after its head.
    Cut,
    /// The client had closed the connection.
    ClientGone,
    /// A local redirect: another handler has the client.
    Redirected,
}

/// What is known of a response, more and more of it.
#[derive(Debug)]
pub struct Facts {
    pub request: Request,
    /// The handler's `SCRIPT_NAME`.
    pub handler: Arc<[u8]>,
    pub worker: u32,
    pub pid: i32,
    pub started: Instant,
    /// As sent; 0 while nothing was, or if a native response has none.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    pub end: End,
    /// Why it is not whole.
    pub reason: Option<&'static str>,
    pub program: Option<Ended>,
}

impl Facts {
    /// Keeps of the request what the logs show: no other handler will get it. Its cookies may be thousands of bytes.
    pub fn forget_fields(&mut self) {
        const LOGGED: [&str; 3] = ["host", "referer", "user-agent"];
        let names = if access::form() == Form::Off { &LOGGED[..1] } else { &LOGGED };
        self.request.keep_fields(names);
    }

    /// Counts the response and logs it.
    pub fn record(&self, header: &Header) {
        if self.end != End::Redirected {
            let class = usize::from(self.status / 100);
            class.checked_sub(1).and_then(|class| header.relayed.get(class)).inspect(|count| add(count, 1));
            add(&header.relayed_bytes, self.bytes);
        }
        if self.end == End::Cut {
            header.cut.fetch_add(1, Relaxed);
        }
        let took = self.started.elapsed();
        if self.end != End::Redirected && access::form() != Form::Off {
            self.enter(took);
        }
        self.log(took);
    }

    /// Adds a line to the access log.
    fn enter(&self, took: Duration) {
        let mut slots = request::slots();
        let head = request::parse(&self.request.head, &mut slots, &any_size()).ok().flatten();
        let asked = head.as_ref().map_or(Asked::Bytes(&[]), Asked::Request);
        let Request { client, user, .. } = &self.request;
        let user = Some(&**user).filter(|user| !user.is_empty());
        let request = access::Request { peer: address_of(*client), user, asked };
        let status = (self.status > 0).then_some(self.status);
        let cut = matches!(self.end, End::Cut | End::ClientGone);
        let response = access::Response { status, bytes: Some(self.bytes), took: Some(took), cut };
        Entry::of(&request).inspect(|entry| entry.finish(&response));
    }

    /// Adds a line to the log. `took`: from the launch to the last byte sent.
    fn log(&self, took: Duration) {
        let Self { request, worker, pid, status, bytes, reason, program, .. } = self;
        let (method, target) = request.line().map(|(method, target, _)| (method, target)).unzip();
        let handler = display(OsStr::from_bytes(&self.handler).display());
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (peer, bytes, reason) = (display(Shown(request.client)), *bytes, *reason);
        let outcome = (*status > 0).then_some(*status);
        let (code, signal) = match program.and_then(|program| program.fate) {
            Some(Fate::Exited(code @ 1..)) => (Some(code), None),
            Some(Fate::Killed(signal)) => (None, Some(signal)),
            _ => (None, None),
        };
        macro_rules! log {
            ($level:ident, $outcome:expr) => {
                tracing::$level!(
                    peer,
                    method,
                    target,
                    handler,
                    worker,
                    pid,
                    outcome = $outcome,
                    bytes,
                    code,
                    signal,
                    reason,
                    duration_us
                )
            };
        }
        match self.end {
            End::Whole if outcome.is_none() => log!(info, "relayed"),
            End::Whole => log!(info, outcome),
            End::Refused if *status == 503 => log!(info, outcome),
            End::Refused => log!(error, outcome),
            End::Cut => log!(warn, "cut"),
            End::ClientGone => log!(info, "client gone"),
            End::Redirected => log!(debug, "redirected"),
        }
    }
}

/// The request was accepted before, and bodies are not its concern here.
fn any_size() -> Limits {
    Limits { body: u64::MAX, ..Limits::default() }
}
