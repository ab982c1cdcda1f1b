//! An accepted connection, whoever works on it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// The client's socket, its address, and when it was accepted.
#[derive(Debug)]
pub struct Connection {
    /// The socket; blocking, because a handler may get it.
    pub stream: OwnedFd,
    /// The client.
    pub peer: SocketAddr,
    /// When accept() returned it.
    pub accepted: Instant,
}

impl Connection {
    /// A connection accepted now.
    pub fn new(stream: OwnedFd, peer: SocketAddr) -> Self {
        Self { stream, peer, accepted: Instant::now() }
    }
}
