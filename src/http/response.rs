//! Responses: the server's own, and response heads as the load generator reads them. It has no clock (callers pass the
//! [`date`](super::date)) and no socket.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::limits::MAX_HEADERS;
use super::refusal::{Refusal, phrase};
use super::request::{decimal, has_token};

/// The interim response that a client with `Expect: 100-continue` waits for.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The answer to `OPTIONS *`, which asks whether the server is there (RFC 9110, section 9.3.7). It names no methods:
/// those are up to the handlers.
pub fn present(date: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

/// The body of [`fixed`].
pub const FIXED_BODY: &str = "hello\n";

/// The header field with the number of the worker.
pub const WORKER_HEADER: &str = "Caffeine-Worker";

/// Where a client finds what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub status: u16,
    /// An absolute path, and the query.
    pub location: String,
}

impl Moved {
    /// The address of a directory, with a slash at its end. GET and HEAD get 301, which every client follows; for others it
    /// would allow a change to GET, so that they get 308.
    pub fn to_folder(method: &str, path: &str, query: &str) -> Self {
        let status = if matches!(method, "GET" | "HEAD") { 301 } else { 308 };
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        Self { status, location: format!("{path}/{query}") }
    }
}

/// Bytes of the body of a whole answer.
pub fn body_bytes(answer: &[u8]) -> u64 {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
    head.map_or(0, |head| (answer.len() - head - 4) as u64)
}

/// A complete answer that ends the connection; `hint` is text that follows its reason; `head_only` for HEAD, which gets
/// the length but no body. Beyond a limit on what runs (429, 503) the client is told to come back in a second.
pub fn refuse(refusal: &Refusal, moved: Option<&Moved>, hint: &str, head_only: bool, date: &str) -> Vec<u8> {
    let status = moved.map_or(refusal.status, |moved| moved.status);
    let (phrase, reason) = (phrase(status), refusal.reason);
    let more = match (moved, status) {
        (Some(moved), _) => format!("Location: {}\r\n", moved.location),
        (None, 405) => "Allow: GET, HEAD\r\n".to_owned(),
        (None, 429 | 503) => "Retry-After: 1\r\n".to_owned(),
        (None, _) => String::new(),
    };
    let body = format!("{status} {phrase}: {reason}\n{hint}");
    let shown = if head_only { "" } else { &body };
    format!(
        "HTTP/1.1 {status} {phrase}\r\nDate: {date}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         {more}Connection: close\r\n\r\n{shown}",
        body.len()
    )
    .into_bytes()
}

/// The 200 of the responders that measure: made once, so it has no Date. `Connection` is always said, because HTTP/1.0 closes by default.
pub fn fixed(worker: u64, keep_alive: bool, head_only: bool) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let shown = if head_only { "" } else { FIXED_BODY };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{WORKER_HEADER}: {worker}\r\nConnection: {connection}\r\n\r\n{shown}",
        FIXED_BODY.len()
    )
    .into_bytes()
}

/// Where the body of a response ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// No body, whatever the header says: 1xx, 204, 304 and answers to HEAD.
    None,
    /// It has this many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// The part of a response head that a client needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'b> {
    /// Status code, 100 to 599.
    pub status: u16,
    /// Where the body ends.
    pub framing: ResponseFraming,
    /// Whether the connection can be used again after the body.
    pub keep_alive: bool,
    /// The worker that answered, as it called itself in `Caffeine-Worker`.
    pub worker: Option<&'b str>,
    /// Bytes of the head, with the empty line: the body starts there.
    pub len: usize,
}

/// Parses the head of a response at the start of `buf`; `head_request`: it answers HEAD. `Ok(None)`: more bytes are needed.
/// Folded lines count as blanks and blanks before a colon as none, which a client must accept (RFC 9112, sections 5.1 and 5.2).
///
/// # Errors
/// Why it is refused: it is not HTTP/1, or the length of its body is ambiguous.
pub fn parse_response(buf: &[u8], head_request: bool) -> Result<Option<ResponseHead<'_>>, &'static str> {
    let mut slots: [MaybeUninit<Header>; MAX_HEADERS] = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut raw = httparse::Response::new(&mut []);
    let mut config = ParserConfig::default();
    config
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true);
    let len = match config.parse_response_with_uninit_headers(&mut raw, buf, &mut slots) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err("the response has too many header fields"),
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            return Err("the response has an invalid header field");
        }
        Err(_) => return Err("the response does not start with an HTTP/1 status line"),
    };
    let (Some(status), Some(minor)) = (raw.code, raw.version) else {
        return Err("the response does not start with an HTTP/1 status line");
    };
    if !(100..=599).contains(&status) {
        return Err("the response has an invalid status code");
    }
    let fields = Fields::of(raw.headers)?;
    let bodyless = head_request || status < 200 || status == 204 || status == 304;
    let framing = if bodyless { ResponseFraming::None } else { fields.framing()? };
    let keep_alive =
        framing != ResponseFraming::UntilClose && !fields.close && (minor == 1 || fields.keep_alive);
    Ok(Some(ResponseHead { status, framing, keep_alive, worker: fields.worker, len }))
}

#[derive(Default)]
struct Fields<'b> {
    length: Option<u64>,
    transfer: Option<&'b [u8]>,
    close: bool,
    keep_alive: bool,
    worker: Option<&'b str>,
}

impl<'b> Fields<'b> {
    fn of(headers: &[Header<'b>]) -> Result<Self, &'static str> {
        let mut fields = Self::default();
        for &Header { name, value } in headers.iter() {
            if name.eq_ignore_ascii_case("content-length") {
                let length = decimal(value).ok_or("the response's Content-Length is not a number")?;
                if fields.length.replace(length).is_some_and(|other| other != length) {
                    return Err("the response has two different Content-Length");
                }
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                if fields.transfer.replace(value).is_some() {
                    return Err("the response has more than one Transfer-Encoding");
                }
            } else if name.eq_ignore_ascii_case("connection") {
                fields.close |= has_token(value, b"close");
                fields.keep_alive |= has_token(value, b"keep-alive");
            } else if name.eq_ignore_ascii_case(WORKER_HEADER) {
                fields.worker = std::str::from_utf8(value).ok().and_then(|name| name.lines().next());
            }
        }
        Ok(fields)
    }

    fn framing(&self) -> Result<ResponseFraming, &'static str> {
        match (self.transfer, self.length) {
            (None, None) => Ok(ResponseFraming::UntilClose),
            (None, Some(length)) => Ok(ResponseFraming::Length(length)),
            (Some(_), Some(_)) => Err("the response has both Content-Length and Transfer-Encoding"),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(ResponseFraming::Chunked),
            (Some(_), None) => Err("the response has a transfer coding other than chunked"),
        }
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
