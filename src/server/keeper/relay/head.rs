//! The head of a relayed response: collected until it is complete, then sent as the head of an HTTP response.

use super::exchange::{Next, Relay, SURPLUS, Stage};
use crate::cgi::response::Response;
use crate::http::document::{self, Document};
use crate::http::refusal::Refusal;
use crate::http::response::ResponseFraming;
use crate::server::today;

/// What begins a native response.
const NATIVE: &[u8] = b"HTTP/";

impl Relay {
    pub(super) fn read_head(&mut self, scratch: &mut [u8]) -> Option<Next> {
        let Some(n) = self.read(scratch) else { return Some(Next::Output) };
        let (Stage::Head(text), 1..) = (&mut self.stage, n) else { return None };
        let new = &scratch[..n];
        text.extend_from_slice(new);
        if self.facts.request.response == Response::Auto {
            if text.starts_with(NATIVE) {
                return self.begin_native();
            }
            if NATIVE.starts_with(text) {
                return None;
            }
        }
        if !new.contains(&b'\n') && text.len() <= document::MOST_BYTES {
            return None;
        }
        match document::parse(text) {
            Ok(Some(document)) => self.begin(document),
            Ok(None) => None,
            Err(reason) => {
                self.refuse(Refusal::new(502, reason));
                None
            }
        }
    }

    fn take_text(&mut self, stage: Stage) -> Vec<u8> {
        match std::mem::replace(&mut self.stage, stage) {
            Stage::Head(text) => text,
            _ => Vec::new(),
        }
    }

    /// The output is a native response: it goes through as it is.
    fn begin_native(&mut self) -> Option<Next> {
        let text = self.take_text(Stage::UntilClose);
        self.facts.forget_fields();
        let status = text.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        self.facts.status = status.filter(|code| (100..600).contains(code)).unwrap_or(0);
        self.emit(&text);
        None
    }

    fn begin(&mut self, mut document: Document) -> Option<Next> {
        if document.dropped > 0 {
            tracing::warn!(
                handler = %String::from_utf8_lossy(&self.facts.handler), pid = self.facts.pid,
                "dropping lines of a response's head: {} names are not those of header fields", document.dropped
            );
        }
        if let Some(target) = document.local.take() {
            self.stage = Stage::Rest(SURPLUS);
            return Some(Next::Redirect(target));
        }
        self.facts.forget_fields();
        let framing = document.framing(self.minor, self.head_only);
        let text = self.take_text(match framing {
            ResponseFraming::None | ResponseFraming::Length(0) => Stage::Rest(SURPLUS),
            ResponseFraming::Length(length) => Stage::Length(length),
            ResponseFraming::Chunked => Stage::Chunked(0),
            ResponseFraming::UntilClose => Stage::UntilClose,
        });
        self.facts.status = document.status;
        self.unsent = document.head(framing, &today::now());
        self.emit(&text[document.len..]);
        None
    }
}
