//! Runs one handler for one request, started as a worker starts it, and reads all that it writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::cgi::area::Area;
use crate::cgi::launch::{Client, Failure, HANDLER_PATH, Launched, Launcher, SOFTWARE, Terms};
use crate::cgi::meta;
use crate::cgi::response::Response;
use crate::cgi::stderr::{Pipes, Table};
use crate::http::document;
use crate::http::forwarded::Origin;
use crate::http::limits::Limits;
use crate::http::request;
use crate::server::config::HandlerLimit;
use crate::sys::fork::{self, Fate};
use crate::sys::net::set_nonblocking;
use crate::sys::signal;
use crate::sys::spawn::Started;

/// A handler is killed after this time.
const LONGEST: Duration = Duration::from_secs(10);
/// A process that it leaves behind with its connection is killed after this time.
const LEFT: Duration = Duration::from_secs(1);
/// How much output is kept; the rest is counted.
const KEPT_BYTES: usize = 64 * 1024;
const TICK_MS: u16 = 10;

/// The settings that a trial uses.
#[derive(Debug)]
pub(super) struct Conditions {
    pub env: BTreeMap<String, String>,
    /// Those of the mount, which override them.
    pub more: BTreeMap<String, String>,
    pub limit: Option<HandlerLimit>,
    pub port: u16,
    /// What it writes.
    pub response: Response,
}

/// What a handler wrote to one place.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The beginning.
    pub bytes: Vec<u8>,
    pub total: u64,
    ended: bool,
}

#[derive(Debug)]
pub(super) struct Trial {
    /// The path of the request.
    pub path: String,
    pub response: Output,
    pub stderr: Output,
    /// How it ended; `None` if that is unknown.
    pub fate: Option<Fate>,
    pub took: Duration,
    pub timed_out: bool,
    /// It left a process behind that keeps the connection open.
    pub left_open: bool,
    /// Why no response can be made of its document.
    pub broken: Option<&'static str>,
}

impl Trial {
    /// Makes of a document response what the client gets, as far as it was kept.
    fn complete(&mut self, response: Response) {
        let Output { bytes, total, .. } = &mut self.response;
        let native = bytes.starts_with(b"HTTP/") && response == Response::Auto;
        if response == Response::Native || native || bytes.is_empty() {
            return;
        }
        match document::parse(bytes) {
            Ok(Some(document)) => {
                let head = document.head(document.framing(0, false), "now");
                *total = *total - document.len as u64 + head.len() as u64;
                bytes.splice(..document.len, head);
            }
            Ok(None) => self.broken = Some("the output ends within the head of the response"),
            Err(reason) => self.broken = Some(reason),
        }
    }
}

/// Starts the handler `name` in `directory` for `GET /NAME` and waits for its end. The inner error is the server's
/// refusal.
///
/// # Errors
/// The trial itself cannot be set up.
pub(super) fn run(
    directory: &Path,
    name: &str,
    conditions: &Conditions,
) -> io::Result<Result<Trial, Failure>> {
    signal::keep_ended_children(true)?;
    let path = format!("/{}", encoded(name));
    let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {SOFTWARE}\r\n\r\n");
    let mut slots = request::slots();
    let head = request::parse(text.as_bytes(), &mut slots, &Limits::default());
    let head = head.ok().flatten().ok_or(io::ErrorKind::InvalidInput)?;
    let (ours, theirs) = UnixStream::pair()?;
    let (stderr, end) = io::pipe()?;
    let pipes = Pipes::new(Box::leak(Box::new(Table::new(1)?)), 0, vec![end.into()]);
    let begun = Instant::now();
    let started = {
        let instance = meta::Instance {
            name: "trial",
            software: SOFTWARE,
            path_var: HANDLER_PATH,
            port: conditions.port,
            proxied: false,
            server_name_default: "localhost",
            base: directory,
            worker: 0,
            extra: &conditions.env,
            more: Some(&conditions.more),
        };
        let limits = conditions.limit.iter().flat_map(HandlerLimit::limits).collect();
        let area = Area { mount: None, instance, response: Response::Native, alarm_s: 0, limits };
        let terms = Terms { stderr: &pipes, clear_mask: true, leases: None };
        let client = Client {
            stream: theirs.as_fd(),
            origin: &Origin::of(([127, 0, 0, 1], 1).into()),
            body: Some(File::open("/dev/null")?.into()),
            content_length: None,
            record: &[],
        };
        Launcher::new(terms, vec![area])?.launch(&head, &client, true)
    };
    drop((theirs, pipes));
    match started {
        Err(failure) => Ok(Err(failure)),
        Ok(Launched { started, .. }) => watch(&started, &ours, stderr, begun).map(|mut trial| {
            trial.path = path;
            trial.complete(conditions.response.of(Path::new(name)));
            Ok(trial)
        }),
    }
}

/// Reads until the handler has ended and both outputs have.
fn watch(
    started: &Started,
    mut ours: &UnixStream,
    mut pipe: PipeReader,
    begun: Instant,
) -> io::Result<Trial> {
    let pid = Pid::from_raw(started.pid);
    set_nonblocking(ours.as_fd(), true)?;
    set_nonblocking(pipe.as_fd(), true)?;
    let (mut response, mut stderr) = (Output::default(), Output::default());
    let (mut fate, mut timed_out, mut left_open) = (None, false, false);
    let mut took = Duration::ZERO;
    loop {
        if fate.is_none() {
            let is_end = |fate: &Fate| matches!(fate, Fate::Exited(_) | Fate::Killed(_));
            fate = fork::reap().map(|(_, fate)| fate).filter(is_end);
            took = begun.elapsed();
        }
        response.read(&mut ours)?;
        stderr.read(&mut pipe)?;
        if fate.is_some() && response.ended && stderr.ended {
            break;
        }
        if fate.is_none() && took > LONGEST && !timed_out {
            timed_out = true;
            let _ = killpg(pid, Signal::SIGKILL);
        }
        if fate.is_some() && begun.elapsed() > took + LEFT {
            left_open = !timed_out;
            let _ = killpg(pid, Signal::SIGKILL);
            break;
        }
        let end = started.pidfd.iter().map(|pidfd| (pidfd.as_fd(), fate.is_some()));
        let open = [(ours.as_fd(), response.ended), (pipe.as_fd(), stderr.ended)];
        let open = open.into_iter().chain(end).filter(|(_, ended)| !ended);
        let mut open: Vec<_> = open.map(|(fd, _)| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let _ = poll(&mut open, PollTimeout::from(TICK_MS));
    }
    Ok(Trial { path: String::new(), response, stderr, fate, took, timed_out, left_open, broken: None })
}

impl Output {
    /// Reads what is there.
    fn read(&mut self, from: &mut impl Read) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        while !self.ended {
            match from.read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    let room = KEPT_BYTES.saturating_sub(self.bytes.len()).min(n);
                    self.bytes.extend_from_slice(&piece[..room]);
                    self.total += n as u64;
                }
                // The handler closed its end with something unread, or reset it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.ended = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A file name as a segment of a path.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(one).collect()
}
