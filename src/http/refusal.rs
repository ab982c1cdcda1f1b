//! An answer of our own instead of a handler's: which status, and why. It does not know how it is sent.

/// Why a request gets no handler. The reason is ours alone: nothing of the request is ever in it, so that no
/// answer can carry somebody else's markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code, 400 to 599.
    pub status: u16,
    /// One clause for the person who reads the answer or the log.
    pub reason: &'static str,
}

impl Refusal {
    /// A refusal with `status`, because of `reason`.
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }
}

/// 400 with `reason`.
pub(crate) const fn bad(reason: &'static str) -> Refusal {
    Refusal::new(400, reason)
}

/// The reason phrase of the status codes that we send (RFC 9110, section 15, and RFC 6585).
pub fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}
