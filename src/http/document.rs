//! The head of a document response (RFC 3875, section 6.2): from a program's output to the head of an HTTP response, or to
//! the reason why it is broken. Pure.
//!
//! Lines end with LF or CRLF. A folded field becomes one line, because a server must not send folded ones (RFC 9112,
//! section 5.2). A line whose name cannot be one of a field (Python's cgitb writes `<!--: spam`) is dropped and counted;
//! fields that belong to the connection are dropped. Everything that would leave the end of the response in doubt is an
//! error. No error contains any part of the output.

use super::refusal::phrase;
use super::request::decimal;
use super::response::ResponseFraming;

/// Longest head in bytes.
pub const MOST_BYTES: usize = 32 * 1024;
/// Most lines; with those of the server, clients get no more than 100 fields, which is what Python's http.client takes.
const MOST_LINES: usize = 96;

/// Fields of the connection, which only the server knows (RFC 3875, section 6.3.4).
const CONNECTION_FIELDS: [&[u8]; 6] =
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"];

/// The head of a document response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// 200 to 599; 302 for a `Location` without a `Status`, else 200.
    pub status: u16,
    reason: Vec<u8>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// The target of a local redirect (section 6.2.2), which the server answers as if the client had asked for it.
    pub local: Option<Vec<u8>>,
    /// Lines that were dropped because their names are invalid.
    pub dropped: usize,
    /// Bytes of the head, with the empty line: the body starts there.
    pub len: usize,
    /// The fields to send, each with its CRLF.
    fields: Vec<u8>,
    dated: bool,
}

/// Parses the head at the start of `output`, which may go on with the body. `Ok(None)`: more bytes are needed.
///
/// # Errors
/// Why it is broken. A longer output of the same beginning is broken too.
pub fn parse(output: &[u8]) -> Result<Option<Document>, &'static str> {
    let mut fields = Fields::default();
    let mut at = 0;
    while let Some(end) = output[at..].iter().position(|&byte| byte == b'\n') {
        let line = &output[at..at + end];
        at += end + 1;
        if at > MOST_BYTES {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return fields.document(at).map(Some);
        }
        fields.line(line)?;
    }
    if output.len() > MOST_BYTES { Err("the head of the response is too long") } else { Ok(None) }
}

impl Document {
    /// Where the body ends, for a client of HTTP/1.`minor`; `head_only`: it asked with HEAD.
    pub fn framing(&self, minor: u8, head_only: bool) -> ResponseFraming {
        match self.length {
            _ if head_only || matches!(self.status, 204 | 304) => ResponseFraming::None,
            Some(length) => ResponseFraming::Length(length),
            None if minor == 0 => ResponseFraming::UntilClose,
            None => ResponseFraming::Chunked,
        }
    }

    /// The head of the HTTP response with this framing. It ends the connection.
    pub fn head(&self, framing: ResponseFraming, date: &str) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.fields.len() + 160);
        head.extend_from_slice(format!("HTTP/1.1 {} ", self.status).as_bytes());
        head.extend_from_slice(&self.reason);
        head.extend_from_slice(b"\r\n");
        if !self.dated {
            head.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
        }
        head.extend_from_slice(&self.fields);
        match (framing, self.length) {
            (ResponseFraming::Chunked, _) => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            // A 204 has none (RFC 9110, section 8.6).
            (_, Some(length)) if self.status != 204 => {
                head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
            }
            _ => {}
        }
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        head
    }
}

/// The fields read so far.
#[derive(Debug, Default)]
struct Fields {
    /// Name and value of the last line, which the next one may continue; `None` for a dropped one.
    last: Option<(Vec<u8>, Vec<u8>)>,
    count: usize,
    status: Option<(u16, Vec<u8>)>,
    location: Option<Vec<u8>>,
    /// Fields beyond those that describe a body: with them a redirect is the client's.
    others: usize,
    document: Document,
}

impl Fields {
    fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err("a line of the head has a control character");
        }
        if let [b' ' | b'\t', ..] = line {
            if self.count == 0 {
                return Err("the head begins with a folded line");
            }
            if let Some((_, value)) = &mut self.last {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            return Ok(());
        }
        self.finish_last()?;
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(match line {
                [b'H', b'T', b'T', b'P', b'/', ..] => {
                    "it begins with a status line, as a native response does"
                }
                _ if self.count == 0 => "it does not begin with a header field",
                _ => "a line of the head has no colon",
            });
        };
        self.count += 1;
        if self.count > MOST_LINES {
            return Err("the head of the response has too many lines");
        }
        let (name, value) = (line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii());
        if is_token(name) {
            self.last = Some((name.to_vec(), value.to_vec()));
        } else {
            self.document.dropped += 1;
        }
        Ok(())
    }

    /// The last field is complete: the line after it does not continue it.
    fn finish_last(&mut self) -> Result<(), &'static str> {
        let Some((name, value)) = self.last.take() else { return Ok(()) };
        match name.to_ascii_lowercase().as_slice() {
            b"status" => {
                let status = status(&value).ok_or("its Status is not a status code from 200 to 599")?;
                once(&mut self.status, status, "it has more than one Status")
            }
            b"location" => once(&mut self.location, value, "it has more than one Location"),
            b"content-length" => {
                let length = decimal(&value).ok_or("its Content-Length is not a number")?;
                once(&mut self.document.length, length, "it has more than one Content-Length")
            }
            b"transfer-encoding" => Err("it has a Transfer-Encoding, which is the server's to choose"),
            name if CONNECTION_FIELDS.contains(&name) => Ok(()),
            lower => {
                self.others += usize::from(lower != b"content-type");
                self.document.dated |= lower == b"date";
                for part in [&name[..], b": ", &value, b"\r\n"] {
                    self.document.fields.extend_from_slice(part);
                }
                Ok(())
            }
        }
    }

    /// The empty line has come, at byte `len`.
    fn document(mut self, len: usize) -> Result<Document, &'static str> {
        self.finish_last()?;
        if self.count == self.document.dropped {
            return Err("there is no header field before the empty line");
        }
        let mut document = Document { len, ..self.document };
        let redirect = self.location.is_some();
        match self.location {
            Some(target) if self.status.is_none() && self.others == 0 && is_local(&target) => {
                document.local = Some(target);
            }
            Some(target) => {
                for part in [b"Location: ", &target[..], b"\r\n"] {
                    document.fields.extend_from_slice(part);
                }
            }
            None => {}
        }
        (document.status, document.reason) = self.status.unwrap_or_else(|| {
            let status = if redirect { 302 } else { 200 };
            (status, usual_reason(status).to_vec())
        });
        Ok(document)
    }
}

fn once<T>(place: &mut Option<T>, value: T, reason: &'static str) -> Result<(), &'static str> {
    if place.replace(value).is_some() { Err(reason) } else { Ok(()) }
}

/// A path on this server; `//host/path` is on another.
fn is_local(target: &[u8]) -> bool {
    target.starts_with(b"/") && !target.starts_with(b"//")
}

fn is_token(name: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_token)
}

/// `404 Not Found` or `404`.
fn status(value: &[u8]) -> Option<(u16, Vec<u8>)> {
    let (code, rest) = value.split_at_checked(3)?;
    let code = u16::try_from(decimal(code)?).ok().filter(|code| (200..600).contains(code))?;
    match rest {
        [] => Some((code, usual_reason(code).to_vec())),
        [b' ' | b'\t', reason @ ..] => Some((code, reason.trim_ascii().to_vec())),
        _ => None,
    }
}

/// May be empty (RFC 9112, section 4).
fn usual_reason(status: u16) -> &'static [u8] {
    match (status, phrase(status)) {
        (302, _) => b"Found",
        (_, "Error") => b"",
        (_, phrase) => phrase.as_bytes(),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
