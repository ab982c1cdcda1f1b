//! An accepted connection.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

#[derive(Debug)]
pub struct Connection {
    /// Blocking, because a handler may inherit it.
    pub stream: OwnedFd,
    pub peer: SocketAddr,
    /// When accept() returned it.
    pub accepted: Instant,
}

impl Connection {
    pub fn new(stream: OwnedFd, peer: SocketAddr) -> Self {
        Self { stream, peer, accepted: Instant::now() }
    }
}
