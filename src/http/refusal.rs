//! An answer of the server's own instead of a handler's: the status and the reason.

/// Why a request gets no handler. The reason never contains any part of the request, so that no answer can carry
/// injected markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code: 308, or 400 to 599.
    pub status: u16,
    /// One clause for the client and the log.
    pub reason: &'static str,
}

impl Refusal {
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }
}

/// The answer beyond `--max-handlers`.
pub const BUSY: Refusal = Refusal::new(503, "too many handlers are running");
/// The answer to a slow client beyond `--max-connections`.
pub const FULL: Refusal = Refusal::new(503, "too many connections are waiting");
/// The answer beyond `--max-per-client`.
pub const PER_CLIENT: Refusal = Refusal::new(429, "too many connections or handlers of this client address");
/// The answer beyond `--max-body-memory`.
pub const BODY_MEMORY: Refusal = Refusal::new(503, "too many request bodies are in memory");

/// The kinds of refusals that are counted: status and a word. The last one is every other.
pub const KINDS: [(u16, &str); 20] = [
    (308, "redirected"),
    (400, "bad_request"),
    (403, "not_executable"),
    (404, "not_found"),
    (405, "method"),
    (408, "timeout"),
    (413, "body_too_large"),
    (414, "target_too_long"),
    (417, "expectation"),
    (429, "max_per_client"),
    (431, "head_too_large"),
    (500, "not_started"),
    (501, "not_implemented"),
    (502, "bad_response"),
    (503, "max_handlers"),
    (503, "max_connections"),
    (503, "max_body_memory"),
    (505, "version"),
    (507, "no_room"),
    (0, "other"),
];

impl Refusal {
    /// Index in [`KINDS`].
    pub fn kind(&self) -> usize {
        let is = |(status, word): &(u16, &str)| {
            *status == self.status
                && match *word {
                    "max_handlers" => *self == BUSY,
                    "max_connections" => *self == FULL,
                    "max_body_memory" => *self == BODY_MEMORY,
                    _ => true,
                }
        };
        KINDS.iter().position(is).unwrap_or(KINDS.len() - 1)
    }
}

pub(crate) const fn bad(reason: &'static str) -> Refusal {
    Refusal::new(400, reason)
}

/// The reason phrase of the status codes that the server sends (RFC 9110, section 15, and RFC 6585).
pub fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_kind_of_its_status() {
        for (refusal, word) in [
            (bad("x"), "bad_request"),
            (BUSY, "max_handlers"),
            (FULL, "max_connections"),
            (PER_CLIENT, "max_per_client"),
            (BODY_MEMORY, "max_body_memory"),
            (Refusal::new(503, "x"), "other"),
            (Refusal::new(404, "x"), "not_found"),
            (Refusal::new(418, "x"), "other"),
        ] {
            assert_eq!(KINDS[refusal.kind()].1, word);
        }
        // 412 and 416 are those of a file's own process, 504 that of the keeper, which counts its responses by status.
        let others = [412, 416, 504];
        let sent = (400..600).filter(|status| phrase(*status) != "Error" && !others.contains(status));
        sent.for_each(|status| assert!(KINDS.iter().any(|(known, _)| *known == status), "{status}"));
    }
}
