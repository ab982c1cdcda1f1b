//! How long a connection is used, and how long each phase of a request may take.

/// How long a connection is used, and which side closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    /// Most requests on one connection, at least 1; `u64::MAX`: as many as the server permits.
    pub requests: u64,
    /// The client closes it after the last response, without announcing it. Otherwise the last request asks the server
    /// to, and the response ends when the server has closed.
    pub client_closes: bool,
}

/// Time limits of a request, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the whole request, from its actual start.
    pub total_ns: u64,
    /// For connecting, from the actual start.
    pub connect_ns: u64,
    /// For the first byte of the response, from the end of connecting; on a kept connection from the actual start.
    pub first_byte_ns: u64,
}

impl Timeouts {
    pub fn shortest_ns(&self) -> u64 {
        self.total_ns.min(self.connect_ns).min(self.first_byte_ns)
    }
}
