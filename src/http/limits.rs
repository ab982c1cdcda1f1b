//! Size limits of requests.

/// More header fields than this are answered 431.
pub const MAX_HEADERS: usize = 100;

/// Sizes in bytes beyond which a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The request line without its CRLF; beyond it 414.
    pub request_line: usize,
    /// The whole head, from the first byte to the empty line; beyond it 431.
    pub head: usize,
    /// The body, after decoding; beyond it 413.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_line: 8192, head: 65_536, body: 1 << 30 }
    }
}
