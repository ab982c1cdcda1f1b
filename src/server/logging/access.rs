//! The access log: one line per request in a file of its own, in the combined format or as JSON.
//!
//! The line is written by the process that knows last what was answered. What a request looked like is formatted when it
//! has been read ([`Entry::of`]), the rest when its response has ended ([`Entry::finish`]); in between an entry can go to
//! another process as bytes. Each request has one call of [`Entry::finish`]:
//!
//! | response | caller | [`Response`] |
//! | --- | --- | --- |
//! | native: the handler writes to the client | the worker, once the handler is launched | unknown |
//! | the server's own | the worker, once it was sent | status, bytes, time |
//! | a static file | the process that serves it, at its end (`file_record.rs`) | status, bytes, time |
//! | relayed from a program | the relay, once the response has ended | status, bytes, time |
//!
//! A handler's native response is seen by its client only, so its status and size are unknown: `-`, or no key.
//!
//! Lines are buffered like those of the log (see [`super`]), and written with one `O_APPEND` write. Without an access log
//! [`Entry::of`] reads one flag and returns `None`.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::asked::Asked;
use super::clock::{Clock, three_digits};
use super::escape::Escape;
use super::{rotate, sink};

/// Longest escaped values; longer ones are cut. An [`Entry`] has at most about [`ENTRY_BYTES`].
const LINE_BYTES: usize = 2048;
const FIELD_BYTES: usize = 400;
/// No entry is longer.
pub const ENTRY_BYTES: usize = 4096;

static FORM: AtomicU8 = AtomicU8::new(Form::Off as u8);
static PATH: OnceLock<PathBuf> = OnceLock::new();
static LOG: OnceLock<Access> = OnceLock::new();

/// `--access-log off|combined|json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Off = 0,
    /// The combined format of Apache and nginx.
    Combined = 1,
    /// One JSON object per line.
    Json = 2,
}

const FORMS: [(&str, Form); 3] = [("off", Form::Off), ("combined", Form::Combined), ("json", Form::Json)];

impl Form {
    /// The format with this number.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        FORMS.iter().map(|(_, form)| *form).find(|form| *form as u8 == number)
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = FORMS.iter().find(|(name, _)| *name == text).map(|(_, form)| *form);
        form.ok_or_else(|| format!("'{text}' is not one of off, combined, json"))
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMS[*self as usize].0)
    }
}

/// The open file, and lines that are not written yet.
#[derive(Debug)]
struct Access {
    file: File,
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    lines: Vec<u8>,
    /// Lines that could not be written, and that the log does not mention yet.
    lost: usize,
    clock: Clock,
}

/// Sets the file's path, once. It is opened when it is first needed.
pub fn install(path: &Path) {
    let _ = PATH.set(path.to_owned());
}

/// Sets the format for this process and its future children, and opens the file unless it is off.
///
/// # Errors
/// The file cannot be opened, or is not regular; then nothing changes.
pub fn set(form: Form) -> io::Result<()> {
    if let (true, Some(path), None) = (form != Form::Off, PATH.get(), LOG.get()) {
        let log = Access { file: super::open(path)?, pending: Mutex::default() };
        let _ = LOG.set(log);
    }
    FORM.store(form as u8, Relaxed);
    Ok(())
}

/// The format that is set.
pub fn form() -> Form {
    Form::numbered(FORM.load(Relaxed)).unwrap_or_default()
}

/// The file's path, once it is known.
pub fn path() -> Option<&'static Path> {
    PATH.get().map(PathBuf::as_path)
}

/// The file's descriptor, if it is open.
pub(super) fn descriptor() -> Option<BorrowedFd<'static>> {
    LOG.get().map(|log| log.file.as_fd())
}

/// Writes the buffered lines. Returns how many lines are missing that the log does not mention yet.
pub fn flush() -> usize {
    LOG.get().map_or(0, |log| {
        let mut pending = log.pending();
        log.write_out(&mut pending);
        pending.lost
    })
}

impl Access {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut pending = self.pending();
        write(&mut pending.lines);
        if super::must_write(pending.lines.len()) {
            self.write_out(&mut pending);
        }
    }

    /// Lines that find no room are dropped and counted; the log tells how many once there is room again.
    fn write_out(&self, pending: &mut Pending) {
        if pending.lines.is_empty() {
            return;
        }
        let renamed = path().map_or(Ok(()), |path| rotate::if_full(&self.file, path));
        let lost = sink::append(&self.file, &pending.lines);
        pending.lines.clear();
        if let Err(error) = renamed {
            tracing::warn!("the access log was full and could not be renamed, so it was emptied: {error}");
        }
        if lost == 0 && pending.lost > 0 {
            tracing::warn!("{} lines of the access log are missing; they could not be written", pending.lost);
            pending.lost = 0;
        }
        pending.lost += lost;
    }
}

/// What was answered, as far as this process knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: Option<u16>,
    /// Bytes of the body that were sent.
    pub bytes: Option<u64>,
    /// From the request's arrival to the end of its response.
    pub took: Option<Duration>,
    /// It is not whole: it was cut off, or its client had gone.
    pub cut: bool,
}

/// The client of a request and what it asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `None` if it has no address.
    pub peer: Option<IpAddr>,
    /// The user, if a proxy has authenticated the client.
    pub user: Option<&'a [u8]>,
    pub asked: Asked<'a>,
}

/// A request without its response. As bytes, none of which is NUL: the [`Form`] as a digit, the length of the part before the
/// response in four hexadecimal digits, both parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(Vec<u8>);

/// Bytes before the first part.
const HEADER: usize = 5;

impl Entry {
    /// Formats what is known of a request; `None` without an access log.
    pub fn of(request: &Request<'_>) -> Option<Self> {
        let form = form();
        let log = LOG.get().filter(|_| form != Form::Off)?;
        let mut pending = log.pending();
        let millis = pending.clock.tick();
        Some(Self::at(form, &pending.clock, millis, request))
    }

    fn at(form: Form, clock: &Clock, millis: u32, request: &Request<'_>) -> Self {
        let mut bytes = vec![b'0'; HEADER];
        bytes[0] += form as u8;
        let mut to = Fields { json: form == Form::Json, bytes: &mut bytes };
        to.before(clock, millis, request);
        let before = u16::try_from(bytes.len() - HEADER).unwrap_or(u16::MAX);
        bytes[1..HEADER].copy_from_slice(format!("{before:04x}").as_bytes());
        Fields { json: form == Form::Json, bytes: &mut bytes }.after(request);
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads an entry that another process of the instance has sent; `None` if it is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let entry = Self(bytes.to_vec());
        entry.parts().map(|_| ())?;
        Some(entry)
    }

    fn parts(&self) -> Option<(Form, &[u8], &[u8])> {
        let (head, rest) = self.0.split_at_checked(HEADER)?;
        let form = Form::numbered(head[0].checked_sub(b'0')?)?;
        let before = std::str::from_utf8(&head[1..]).ok()?;
        let (before, after) = rest.split_at_checked(usize::from_str_radix(before, 16).ok()?)?;
        (form != Form::Off && self.0.len() <= ENTRY_BYTES).then_some((form, before, after))
    }

    /// The format of its line.
    pub fn form(&self) -> Form {
        self.parts().map_or(Form::Off, |(form, ..)| form)
    }

    /// The response has ended: writes the line.
    pub fn finish(&self, response: &Response) {
        if let Some(log) = LOG.get() {
            log.add(|lines| self.write(lines, response));
        }
    }

    fn write(&self, lines: &mut Vec<u8>, response: &Response) {
        let Some((form, before, after)) = self.parts() else { return };
        let Response { status, bytes, took, cut } = *response;
        let took = took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let mut middle = String::new();
        let mut put = |before: &str, number: Option<u64>, without: &str| {
            let _ = match number {
                Some(number) => write!(middle, "{before}{number}"),
                None => write!(middle, "{without}"),
            };
        };
        if form == Form::Json {
            put(",\"status\":", status.map(u64::from), "");
            put(",\"bytes\":", bytes, "");
            put(",\"duration_us\":", took, "");
            put("", None, if cut { ",\"cut\":true" } else { "" });
        } else {
            put("", status.map(u64::from), "-");
            put(" ", bytes, " -");
        }
        lines.extend_from_slice(before);
        lines.extend_from_slice(middle.as_bytes());
        lines.extend_from_slice(after);
    }
}

/// Writes fields of a line, escaped.
struct Fields<'a> {
    json: bool,
    bytes: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn before(&mut self, clock: &Clock, millis: u32, request: &Request<'_>) {
        let peer = request.peer.map(|peer| peer.to_string());
        let line = request.asked.line();
        let user = request.user.map(String::from_utf8_lossy);
        if self.json {
            self.push("{\"time\":\"");
            self.push(clock.iso());
            self.push(".");
            self.bytes.extend(three_digits(millis));
            self.push("Z\"");
            self.key("peer", peer.as_deref());
            self.key("user", user.as_deref());
            self.key("host", request.asked.head().and_then(|head| head.host));
            self.value(",\"request\":\"", &line, LINE_BYTES, "\"");
        } else {
            self.push(peer.as_deref().unwrap_or("-"));
            self.push(" - ");
            // The only field that is neither quoted nor known to have no blank.
            let user = user.as_deref().unwrap_or_default().replace(char::is_whitespace, "+");
            self.value("", if user.is_empty() { "-" } else { &user }, FIELD_BYTES, " [");
            self.push(clock.common());
            self.value("] \"", if line.is_empty() { "-" } else { &line }, LINE_BYTES, "\" ");
        }
    }

    fn after(&mut self, request: &Request<'_>) {
        let head = request.asked.head();
        let field = |name: &str| head.and_then(|head| head.header(name)).map(String::from_utf8_lossy);
        let (referer, agent) = (field("referer"), field("user-agent"));
        if self.json {
            self.key("referer", referer.as_deref());
            self.key("agent", agent.as_deref());
            self.push("}\n");
        } else {
            let or_dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
            self.value(" \"", &or_dash(referer.as_deref()), FIELD_BYTES, "\"");
            self.value(" \"", &or_dash(agent.as_deref()), FIELD_BYTES, "\"\n");
        }
    }

    fn key(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.push(",\"");
            self.push(name);
            self.value("\":\"", value, FIELD_BYTES, "\"");
        }
    }

    fn value(&mut self, before: &str, value: &str, most: usize, after: &str) {
        self.push(before);
        let _ = Escape { bytes: self.bytes, json: self.json, left: most }.write_str(value);
        self.push(after);
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
