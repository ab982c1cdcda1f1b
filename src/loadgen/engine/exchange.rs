//! One response, from its first byte to its end or that of the connection: bytes in, state out. Pure: no sockets, no
//! clocks, and no allocation as long as responses arrive in the same pieces.

use crate::http::chunked::Decoder;
use crate::http::response::{ResponseFraming, parse_response};
use crate::loadgen::count::{Answer, Failure};

/// Longest accepted response head, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Worker names are truncated to this length, in bytes.
const WORKER_BYTES: usize = 24;

/// The part of the response that the next byte belongs to.
#[derive(Debug)]
enum State {
    Head,
    /// A body with this many bytes to come.
    Length(u64),
    Chunked(Decoder),
    /// A body that ends with the connection.
    UntilClose,
    /// None: the announced end has been received.
    Whole,
}

#[derive(Debug)]
pub struct Exchange {
    state: State,
    /// The beginning of a head that arrives in pieces.
    partial: Vec<u8>,
    head_request: bool,
    bytes: u64,
    status: u16,
    /// Whether the server keeps the connection open.
    keep_alive: bool,
    worker: [u8; WORKER_BYTES],
    worker_len: usize,
}

impl Exchange {
    /// `head_request`: responses have no body, whatever they announce.
    pub fn new(head_request: bool) -> Self {
        let (state, partial, worker) = (State::Head, Vec::new(), [0; WORKER_BYTES]);
        Self { state, partial, head_request, bytes: 0, status: 0, keep_alive: false, worker, worker_len: 0 }
    }

    /// Prepares for the next response; memory is kept.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.partial.clear();
        (self.bytes, self.status, self.worker_len) = (0, 0, 0);
        self.keep_alive = false;
    }

    pub fn received(&self) -> u64 {
        self.bytes
    }

    pub fn has_begun(&self) -> bool {
        self.bytes > 0
    }

    /// Whether the announced end has been received; a body without a length ends only with the connection.
    pub fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    /// Whether the response is complete and the server keeps the connection open.
    pub fn is_reusable(&self) -> bool {
        self.is_whole() && self.keep_alive
    }

    /// Adds the next bytes of the connection, in pieces of any size.
    /// Errors: why they are not a valid response; only [`reset`](Self::reset) is possible after that.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.bytes += bytes.len() as u64;
        if !matches!(self.state, State::Head) {
            return self.receive_body(bytes);
        }
        if self.partial.is_empty() {
            return self.receive_head(bytes);
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let result = self.receive_head(&joined);
        if self.partial.is_empty() {
            joined.clear();
            self.partial = joined;
        }
        result
    }

    fn receive_head(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let Some(head) = parse_response(bytes, self.head_request)? {
            let length = head.len;
            if head.status == 101 {
                return Err("101 without a request to switch protocols");
            }
            if head.status >= 200 {
                (self.status, self.keep_alive) = (head.status, head.keep_alive);
                self.keep_worker(head.worker);
                self.state = match head.framing {
                    ResponseFraming::None | ResponseFraming::Length(0) => State::Whole,
                    ResponseFraming::Length(length) => State::Length(length),
                    ResponseFraming::Chunked => State::Chunked(Decoder::new(u64::MAX)),
                    ResponseFraming::UntilClose => State::UntilClose,
                };
                return self.receive_body(&bytes[length..]);
            }
            bytes = &bytes[length..];
        }
        if bytes.len() > MAX_HEAD {
            return Err("the response head is too long");
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn receive_body(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let used = match &mut self.state {
            State::Head | State::UntilClose => bytes.len(),
            State::Whole => 0,
            State::Length(left) => {
                let used = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= used as u64;
                if *left == 0 {
                    self.state = State::Whole;
                }
                used
            }
            State::Chunked(decoder) => {
                let (used, finished) = skip_chunks(decoder, bytes)?;
                if finished {
                    self.state = State::Whole;
                }
                used
            }
        };
        if used < bytes.len() { Err("more bytes than the response announced") } else { Ok(()) }
    }

    fn keep_worker(&mut self, name: Option<&str>) {
        let name = name.unwrap_or_default().as_bytes();
        self.worker_len = name.len().min(WORKER_BYTES);
        self.worker[..self.worker_len].copy_from_slice(&name[..self.worker_len]);
    }

    pub fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            bytes: self.bytes,
            worker: (self.worker_len > 0).then_some(&self.worker[..self.worker_len]),
        }
    }

    /// The connection was closed, or reset. A reset after the announced end does no harm.
    /// Errors: the response is incomplete.
    pub fn end(&self, reset: bool) -> Result<Answer<'_>, Failure> {
        match (&self.state, reset) {
            (State::Whole, _) | (State::UntilClose, false) => Ok(self.answer()),
            (_, true) if !self.has_begun() => Err(Failure::ResetBeforeResponse),
            (_, true) => Err(Failure::ResetInResponse),
            (State::Head, false) => Err(Failure::EarlyEnd),
            (State::Length(_) | State::Chunked(_), false) => Err(Failure::ShortBody),
        }
    }

    /// The phase in which a timeout occurred.
    pub fn timed_out(&self) -> Failure {
        match self.state {
            State::Whole => Failure::TimeoutBeforeClose,
            _ if self.has_begun() => Failure::TimeoutInResponse,
            _ => Failure::TimeoutBeforeResponse,
        }
    }
}

/// Skips the bytes that belong to the body; returns their number and whether the body has ended.
fn skip_chunks(decoder: &mut Decoder, bytes: &[u8]) -> Result<(usize, bool), &'static str> {
    let mut used = 0;
    loop {
        let progress = decoder.decode(&bytes[used..]).map_err(|refusal| refusal.reason)?;
        used += progress.consumed;
        if progress.finished || progress.consumed == 0 {
            return Ok((used, progress.finished));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces that end at `cuts`, then ends the connection.
    fn run(bytes: &[u8], cuts: &[usize], head_request: bool, reset: bool) -> Result<(u16, Vec<u8>), String> {
        let mut exchange = Exchange::new(head_request);
        let mut cuts: Vec<usize> =
            cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
        cuts.sort_unstable();
        let mut from = 0;
        for to in cuts {
            exchange.receive(&bytes[from..to])?;
            from = to;
        }
        let answer = exchange.end(reset).map_err(|failure| failure.name().to_owned())?;
        assert_eq!(answer.bytes, bytes.len() as u64);
        Ok((answer.status, answer.worker.unwrap_or_default().to_vec()))
    }

    const WHOLE: [&str; 6] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCaffeine-Worker: 3\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\nas long as it lasts",
        "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n",
    ];

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_answer(
            which in 0..WHOLE.len(), cuts in prop::collection::vec(0usize..200, 0..12),
        ) {
            let bytes = WHOLE[which].as_bytes();
            let expected = run(bytes, &[], false, false);
            prop_assert!(expected.is_ok());
            prop_assert_eq!(run(bytes, &cuts, false, false), expected);
        }

        #[test]
        fn a_response_cut_off_is_never_complete_where_its_length_was_announced(
            which in prop::sample::select(vec![0usize, 4, 5]), at in 0usize..200, reset: bool,
        ) {
            let bytes = WHOLE[which].as_bytes();
            let cut = &bytes[..at % bytes.len()];
            let failure = run(cut, &[], false, reset).unwrap_err();
            let expected: &[&str] = match (reset, cut.is_empty()) {
                (true, true) => &["reset-before-response"],
                (true, false) => &["reset-in-response"],
                (false, _) => &["early-end", "short-body"],
            };
            prop_assert!(expected.contains(&failure.as_str()), "{}", failure);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, cuts in prop::collection::vec(0usize..200, 0..6)) {
            let _ = run(&bytes, &cuts, false, false);
        }
    }

    #[test]
    fn the_worker_is_read_from_its_header() {
        assert_eq!(run(WHOLE[0].as_bytes(), &[], false, false), Ok((200, b"3".to_vec())));
        assert_eq!(run(WHOLE[1].as_bytes(), &[], false, false), Ok((200, vec![])));
    }

    #[test]
    fn a_body_without_a_length_is_whole_at_the_end_but_not_at_a_reset() {
        assert!(run(WHOLE[1].as_bytes(), &[], false, false).is_ok());
        assert_eq!(run(WHOLE[1].as_bytes(), &[], false, true), Err("reset-in-response".into()));
        assert!(run(WHOLE[0].as_bytes(), &[], false, true).is_ok(), "all announced bytes had arrived");
    }

    #[test]
    fn a_response_to_head_has_no_body_whatever_it_announces() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(run(head, &[], true, false), Ok((200, vec![])));
        assert_eq!(run(head, &[], false, false), Err("short-body".into()));
    }

    #[test]
    fn an_invalid_response_is_refused() {
        for bytes in [
            "hello\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",
            "HTTP/1.1 204 No Content\r\n\r\nx",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            let error = run(bytes.as_bytes(), &[], false, false).unwrap_err();
            assert!(!error.contains("short") && !error.contains("early"), "{bytes:?}: {error}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
        assert!(run(endless.as_bytes(), &[], false, false).is_err());
    }

    #[test]
    fn a_connection_can_be_used_again_when_the_framing_and_the_server_say_so() {
        for (response, reusable) in [
            (WHOLE[0], true),
            (WHOLE[1], false),
            (WHOLE[3], true),
            (WHOLE[4], true),
            (WHOLE[5], true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            let mut exchange = Exchange::new(false);
            for byte in response.as_bytes() {
                assert!(!exchange.is_reusable(), "before the end: {response}");
                exchange.receive(&[*byte]).unwrap();
            }
            assert_eq!(exchange.is_reusable(), reusable, "{response}");
            exchange.reset();
            assert!(!exchange.is_reusable(), "{response}");
        }
        let mut to_head = Exchange::new(true);
        to_head.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert!(to_head.is_reusable());
    }

    #[test]
    fn a_timeout_names_its_phase() {
        let mut exchange = Exchange::new(false);
        assert_eq!(exchange.timed_out(), Failure::TimeoutBeforeResponse);
        exchange.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n").unwrap();
        assert_eq!(exchange.timed_out(), Failure::TimeoutInResponse);
        exchange.receive(b"x").unwrap();
        assert_eq!(exchange.timed_out(), Failure::TimeoutBeforeClose);
        exchange.reset();
        assert!(!exchange.has_begun() && !exchange.is_whole());
    }
}
