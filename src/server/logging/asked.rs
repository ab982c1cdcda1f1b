//! What a client has asked for, as far as it could be read.

use crate::http::request::Head;

/// Longest excerpt of a malformed request in a log.
const EXCERPT_BYTES: usize = 200;

/// What an answer of the server's own responds to.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    Request(&'a Head<'a, 'a>),
    /// Input that could not be parsed as a request.
    Bytes(&'a [u8]),
}

impl<'a> Asked<'a> {
    pub fn head(self) -> Option<&'a Head<'a, 'a>> {
        match self {
            Self::Request(head) => Some(head),
            Self::Bytes(_) => None,
        }
    }

    /// The first line of a malformed request, short enough for a line of a log; `None` if nothing arrived.
    pub fn excerpt(self) -> Option<String> {
        let Self::Bytes(bytes) = self else { return None };
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shown = &line[..line.len().min(EXCERPT_BYTES)];
        let more = if shown.len() < line.len() { "..." } else { "" };
        match std::str::from_utf8(shown) {
            _ if shown.is_empty() => None,
            Ok(text) => Some(format!("{text}{more}")),
            Err(_) => Some(format!("{}{more}", shown.escape_ascii())),
        }
    }

    /// The request line, or the excerpt; empty if nothing arrived.
    pub(super) fn line(self) -> String {
        match self {
            Self::Request(head) => format!("{} {} HTTP/1.{}", head.method, head.target, head.minor),
            Self::Bytes(_) => self.excerpt().unwrap_or_default(),
        }
    }
}
