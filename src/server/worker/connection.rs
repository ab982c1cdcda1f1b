//! An accepted connection.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

use crate::http::forwarded::{Origin, Proxies};
use crate::http::response;
use crate::server::logging::Asked;
use crate::server::logging::access::{self, Entry, Response};

#[derive(Debug)]
pub struct Connection {
    /// Blocking, because a handler may inherit it.
    pub stream: OwnedFd,
    pub peer: SocketAddr,
    /// When accept() returned it, or when a further request began to arrive.
    pub begun: Instant,
}

impl Connection {
    pub fn new(stream: OwnedFd, peer: SocketAddr) -> Self {
        Self { stream, peer, begun: Instant::now() }
    }

    /// Who asks: the peer, or the client for which it may speak.
    pub fn origin<'a>(&self, asked: Asked<'a>, proxies: &'a Proxies) -> Origin<'a> {
        asked.head().map_or(Origin::of(self.peer), |head| proxies.origin(self.peer, head.headers))
    }

    /// Writes an answer of the server's own to the access log, if there is one. `sent`: the client has got it.
    pub fn record(&self, origin: &Origin<'_>, asked: Asked<'_>, status: u16, answer: &[u8], sent: bool) {
        if let Some(entry) = entry(origin, asked) {
            let bytes = if sent { response::body_bytes(answer) } else { 0 };
            let took = Some(self.begun.elapsed());
            entry.finish(&Response { status: Some(status), bytes: Some(bytes), took, cut: !sent });
        }
    }
}

/// What the access log, if there is one, will say of a request.
pub fn entry(origin: &Origin<'_>, asked: Asked<'_>) -> Option<Entry> {
    Entry::of(&access::Request { peer: origin.address(), user: origin.user, asked })
}
