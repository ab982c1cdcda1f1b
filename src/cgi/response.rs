//! The kind of response that a program writes. A native one is the client's from its first byte: the program has the
//! connection. A document (RFC 3875, section 6.2) begins with header fields; its way leads through the server, which makes
//! an HTTP response of it.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Programs whose names begin with this write native responses ("non-parsed header", RFC 3875, section 5).
const NATIVE_PREFIX: &[u8] = b"nph-";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Response {
    /// A complete HTTP response, written to the client's connection.
    #[default]
    Native,
    /// Header fields, an empty line and a body.
    Document,
    /// Native if the first bytes are `HTTP/`, else a document.
    Auto,
}

impl Response {
    /// The kind for one program.
    #[must_use]
    pub fn of(self, program: &Path) -> Self {
        let native = program.file_name().is_some_and(|name| name.as_bytes().starts_with(NATIVE_PREFIX));
        if native { Self::Native } else { self }
    }
}

impl FromStr for Response {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "native" => Ok(Self::Native),
            "document" => Ok(Self::Document),
            "auto" => Ok(Self::Auto),
            other => Err(format!("'{other}' is not one of native, document, auto")),
        }
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Document => "document",
            Self::Auto => "auto",
        })
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_and_written_the_same() {
        for text in ["native", "document", "auto"] {
            assert_eq!(text.parse::<Response>().unwrap().to_string(), text);
        }
        assert!("cgi".parse::<Response>().unwrap_err().contains("native, document, auto"));
    }

    #[test]
    fn a_program_that_says_nph_is_native() {
        for kind in [Response::Native, Response::Document, Response::Auto] {
            assert_eq!(kind.of(Path::new("/srv/nph-stream")), Response::Native);
            assert_eq!(kind.of(Path::new("/srv/nph-/stream-nph-")), kind);
        }
    }
}
