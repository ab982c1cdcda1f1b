//! The head of a request: from bytes to what the server needs, or to a refusal. It does not route, does not read the
//! body and keeps no state.
//!
//! `httparse` splits the head; this decides. Where `httparse` is lenient (a bare LF ends a line, several empty lines
//! may come first, a target may hold any UTF-8), this is not: requests are smuggled when two peers read the same bytes
//! differently. Anything that makes the length of a message doubtful is answered 400 (RFC 9112, section 11.2).

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::limits::{Limits, MAX_HEADERS};
use super::refusal::{Refusal, bad};
use super::target;

/// Room for the header fields of one request. Not initialised, because zeroing it would cost more than parsing.
pub type HeaderSlots<'b> = [MaybeUninit<Header<'b>>; MAX_HEADERS];

/// Fresh [`HeaderSlots`]; each call of [`parse`] needs its own.
#[inline]
pub const fn slots<'b>() -> HeaderSlots<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// Where the body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The request has no body.
    None,
    /// It has this many bytes; 0 when the client said so.
    Length(u64),
    /// It comes in chunks: [`super::chunked::Decoder`].
    Chunked,
}

/// The head of one request, borrowed from the bytes it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<'h, 'b> {
    /// A token, as sent (methods are case-sensitive).
    pub method: &'b str,
    /// The request target as sent.
    pub target: &'b str,
    /// Still percent-encoded; begins with `/`, or is `*`.
    pub path: &'b str,
    /// What follows the first `?`, `""` if nothing does.
    pub query: &'b str,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// The host, with the port if there is one: from the target, else from Host. Its syntax is valid.
    pub host: Option<&'b str>,
    /// All header fields in their order; no value holds a control byte other than a tab.
    pub headers: &'h [Header<'b>],
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the client holds back a body until it is told to continue (RFC 9110, section 10.1.1).
    pub expect_continue: bool,
    /// Whether the client wants to use the connection again.
    pub keep_alive: bool,
    /// Bytes of the head, with the empty line: the body starts there.
    pub len: usize,
    /// The head itself, from the request line on.
    pub bytes: &'b [u8],
}

impl<'b> Head<'_, 'b> {
    /// The value of the first header field called `name`, in whatever case.
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The host without the port; an IPv6 address keeps its brackets.
    pub fn host_name(&self) -> Option<&'b str> {
        self.host.map(target::without_port)
    }

    /// The port of the host, if it names one.
    pub fn host_port(&self) -> Option<&'b str> {
        let host = self.host?;
        host[target::without_port(host).len()..].strip_prefix(':').filter(|port| !port.is_empty())
    }
}

/// Parses the head at the start of `buf`, which may go on with the body. `Ok(None)`: more bytes are needed.
///
/// One empty line before the request line is skipped, as RFC 9112, section 2.2 wants it; it counts in `len`.
///
/// # Errors
/// The answer to give: 400, 413, 414, 417, 431, 501 or 505 (also for HTTP/1.2 and later, which [`super::version`] lowers before). A
/// head that passes a limit is refused as soon as it does, also without an end.
pub fn parse<'h, 'b>(
    buf: &'b [u8],
    slots: &'h mut HeaderSlots<'b>,
    limits: &Limits,
) -> Result<Option<Head<'h, 'b>>, Refusal> {
    let skipped = match buf {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    };
    let text = &buf[skipped..];
    if matches!(text, [b'\r' | b'\n', ..]) {
        return Err(bad("empty lines come before the request line"));
    }
    let mut raw = httparse::Request::new(&mut []);
    match raw.parse_with_uninit_headers(text, slots) {
        Ok(Status::Complete(len)) => complete(raw, &text[..len], skipped, limits).map(Some),
        Ok(Status::Partial) => partial(&raw, text, skipped, limits).map(|()| None),
        Err(error) => unreadable(error, &raw, text).map(|()| None),
    }
}

/// Holds an unfinished head against the limits.
fn partial(raw: &httparse::Request, text: &[u8], skipped: usize, limits: &Limits) -> Result<(), Refusal> {
    // Without a version the text is still inside the request line.
    let line = if raw.version.is_none() { text.len() } else { line_len(raw) };
    check_line(line, limits)?;
    check_head(skipped + text.len() + 1, limits)
}

/// Bytes of the request line without its CRLF: two spaces and a version of eight bytes.
fn line_len(raw: &httparse::Request) -> usize {
    raw.method.map_or(0, str::len) + raw.path.map_or(0, str::len) + 10
}

fn check_line(len: usize, limits: &Limits) -> Result<(), Refusal> {
    if len > limits.request_line {
        return Err(Refusal::new(414, "the request line is longer than this server accepts"));
    }
    Ok(())
}

fn check_head(len: usize, limits: &Limits) -> Result<(), Refusal> {
    if len > limits.head {
        return Err(Refusal::new(431, "the header fields are larger than this server accepts"));
    }
    Ok(())
}

/// The refusal of a head that cannot be split; `Ok` if more bytes are needed to decide.
fn unreadable(error: httparse::Error, raw: &httparse::Request, text: &[u8]) -> Result<(), Refusal> {
    match error {
        httparse::Error::TooManyHeaders => {
            Err(Refusal::new(431, "there are more header fields than this server accepts"))
        }
        httparse::Error::Version => version(&text[line_len(raw) - 8..]),
        httparse::Error::NewLine => Err(bad("a line does not end with CRLF")),
        httparse::Error::HeaderName => {
            Err(bad("a header field has an invalid name, is folded or has no colon"))
        }
        httparse::Error::HeaderValue => Err(bad("a header field has an invalid value")),
        httparse::Error::Token | httparse::Error::Status => Err(bad("the request line is malformed")),
    }
}

/// Classifies the version: another version of HTTP, the start of one, or neither.
fn version(text: &[u8]) -> Result<(), Refusal> {
    let matches = |(&byte, &model)| if model == b'd' { u8::is_ascii_digit(&byte) } else { byte == model };
    let goes_on = text.get(8).is_some_and(|byte| !matches!(byte, b'\r' | b'\n'));
    if goes_on || !text.iter().zip(b"HTTP/d.d").all(matches) {
        Err(bad("the request line does not end with a version"))
    } else if text.len() < 8 {
        Ok(())
    } else {
        Err(Refusal::new(505, "this server speaks only HTTP/1"))
    }
}

fn complete<'h, 'b>(
    raw: httparse::Request<'h, 'b>,
    text: &'b [u8],
    skipped: usize,
    limits: &Limits,
) -> Result<Head<'h, 'b>, Refusal> {
    check_line(line_len(&raw), limits)?;
    check_head(skipped + text.len(), limits)?;
    if has_bare_line_feed(text) {
        return Err(bad("a line does not end with CRLF"));
    }
    let (Some(method), Some(target), Some(minor)) = (raw.method, raw.path, raw.version) else {
        return Err(bad("the request line is malformed"));
    };
    let parts = target::split(method, target)?;
    let fields = Fields::of(raw.headers)?;
    let framing = fields.framing(minor, limits)?;
    Ok(Head {
        method,
        target,
        path: parts.path,
        query: parts.query,
        minor,
        host: fields.host(minor, parts.authority)?,
        headers: raw.headers,
        framing,
        // HTTP/1.0 clients cannot mean it (RFC 9110, section 10.1.1), and without a body no client waits.
        expect_continue: fields.expect
            && minor == 1
            && !matches!(framing, Framing::None | Framing::Length(0)),
        keep_alive: !fields.close && (minor == 1 || fields.keep_alive),
        len: skipped + text.len(),
        bytes: text,
    })
}

/// Whether some LF has no CR before it. Without an early way out, so that it runs on whole vectors.
fn has_bare_line_feed(text: &[u8]) -> bool {
    text.iter().zip(&text[1..]).fold(false, |found, (&a, &b)| found | ((b == b'\n') & (a != b'\r')))
}

/// The header fields that decide how a message is read.
#[derive(Default)]
struct Fields<'b> {
    host: Option<&'b [u8]>,
    length: Option<&'b [u8]>,
    transfer: Option<&'b [u8]>,
    expect: bool,
    close: bool,
    keep_alive: bool,
}

impl<'b> Fields<'b> {
    fn of(headers: &[Header<'b>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for &Header { name, value } in headers.iter() {
            // The length first: most fields are none of these, and comparing names costs more.
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => {
                    once(&mut fields.host, value, "there is more than one Host")?;
                }
                6 if name.eq_ignore_ascii_case("expect") => {
                    if !value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Refusal::new(417, "the only supported expectation is 100-continue"));
                    }
                    fields.expect = true;
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    fields.close |= has_token(value, b"close");
                    fields.keep_alive |= has_token(value, b"keep-alive");
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    once(&mut fields.length, value, "there is more than one Content-Length")?;
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    once(&mut fields.transfer, value, "there is more than one Transfer-Encoding")?;
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    /// The length of the body (RFC 9112, sections 6.1 to 6.3), without the leniency they allow.
    fn framing(&self, minor: u8, limits: &Limits) -> Result<Framing, Refusal> {
        match (self.transfer, self.length) {
            (None, None) => Ok(Framing::None),
            (Some(_), Some(_)) => Err(bad("both Content-Length and Transfer-Encoding are given")),
            (Some(_), None) if minor == 0 => Err(bad("HTTP/1.0 has no Transfer-Encoding")),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (Some(codings), None) => Err(unknown_coding(codings)),
            (None, Some(digits)) => match decimal(digits) {
                None => Err(bad("Content-Length is not a number")),
                Some(length) if length > limits.body => {
                    Err(Refusal::new(413, "the body is larger than this server accepts"))
                }
                Some(length) => Ok(Framing::Length(length)),
            },
        }
    }

    /// The effective host: the target's wins (RFC 9112, section 3.2.2), but HTTP/1.1 must send Host anyway.
    fn host(&self, minor: u8, authority: Option<&'b str>) -> Result<Option<&'b str>, Refusal> {
        let host = match self.host {
            // HTTP/1.0 has no Host; an empty one from old clients and health checks counts as none (RFC 9112, section
            // 3.2).
            Some(b"") if minor == 0 => None,
            Some(value) => Some(target::authority(value).ok_or(bad("Host is invalid"))?),
            None if minor == 0 => None,
            None => return Err(bad("there is no Host")),
        };
        Ok(authority.or(host))
    }
}

/// The refusal of a Transfer-Encoding other than `chunked`. If `chunked` is not last, or appears twice, the body has no
/// certain end (RFC 9112, section 6.3, item 4); else the coding is unknown (section 6.1).
fn unknown_coding(codings: &[u8]) -> Refusal {
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut codings = codings.rsplit(|&byte| byte == b',');
    if codings.next().is_some_and(is_chunked) && !codings.any(is_chunked) {
        Refusal::new(501, "the only supported transfer coding is chunked")
    } else {
        bad("Transfer-Encoding does not end with chunked, or has it twice")
    }
}

fn once<'b>(place: &mut Option<&'b [u8]>, value: &'b [u8], reason: &'static str) -> Result<(), Refusal> {
    if place.replace(value).is_some() { Err(bad(reason)) } else { Ok(()) }
}

/// `1*DIGIT` that fits; no sign, no list, no space (RFC 9110, section 8.6).
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether a comma-separated list has `token`, in whatever case.
pub(super) fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
