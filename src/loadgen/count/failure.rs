//! How a request can fail, by phase and by side. Pure.

use std::io;

macro_rules! failures {
    ($($(#[$doc:meta])* $kind:ident $name:literal $place:literal,)*) => {
        /// A kind of failure. Failed requests never enter a latency histogram.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Failure { $($(#[$doc])* $kind,)* }

        impl Failure {
            /// All kinds, in the order of the phases.
            pub const ALL: &[Self] = &[$(Self::$kind),*];
            /// Their names in every output.
            pub const NAMES: &[&str] = &[$($name),*];
            /// The phase or side of each.
            const PLACES: &[&str] = &[$($place),*];
        }
    };
}

failures! {
    /// The port is closed, or the accept queue refuses.
    ConnectRefused "connect-refused" "connecting",
    ConnectTimeout "connect-timeout" "connecting",
    /// For any other reason, such as no route.
    ConnectFailed "connect-failed" "connecting",
    /// The server closed or reset a kept connection after the request was sent and before the first byte of a response.
    /// It may have timed out an idle connection just as the request was sent. A browser would retry silently; a load
    /// generator that did would hide what its users experience.
    ClosedBeforeResponse "closed-before-response" "before the response",
    /// The server reset a new connection before the first byte of a response.
    ResetBeforeResponse "reset-before-response" "before the response",
    ResetInResponse "reset-in-response" "in the response",
    /// The connection was closed before the end of the response head.
    EarlyEnd "early-end" "before the response",
    /// The connection was closed before the announced end of the body.
    ShortBody "short-body" "in the response",
    /// Not HTTP, or more bytes than announced.
    BadResponse "bad-response" "in the response",
    TimeoutBeforeResponse "timeout-before-response" "before the response",
    TimeoutInResponse "timeout-in-response" "in the response",
    /// The response was complete, but the server did not close the connection in time.
    TimeoutBeforeClose "timeout-before-close" "after the response",
    /// Of the generator: no file descriptor left.
    NoDescriptors "no-descriptors" "loadgen itself",
    /// Of the generator: no local port left.
    NoPorts "no-ports" "loadgen itself",
    /// Of the generator: no socket for another reason, such as memory.
    NoSocket "no-socket" "loadgen itself",
}

impl Failure {
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The phase or side, in words.
    pub fn place(self) -> &'static str {
        Self::PLACES[self as usize]
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|failure| failure.name() == name)
    }

    /// Whether the generator itself failed, which voids the run.
    pub fn is_ours(self) -> bool {
        self >= Self::NoDescriptors
    }

    /// Whether the request failed before it had a connection.
    pub fn is_before_connection(self) -> bool {
        self.is_ours() || self <= Self::ConnectFailed
    }

    /// Classifies an error of `socket`, `connect` or the first `send`. A refused connection reports that even to `send`;
    /// a reset there means that it had been established.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ECONNRESET | libc::EPIPE) => Self::ResetBeforeResponse,
            // EAGAIN: the accept queue of a Unix socket is full.
            Some(libc::ECONNREFUSED | libc::EAGAIN) => Self::ConnectRefused,
            Some(libc::ETIMEDOUT) => Self::ConnectTimeout,
            Some(libc::EMFILE | libc::ENFILE) => Self::NoDescriptors,
            Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => Self::NoPorts,
            Some(libc::ENOBUFS | libc::ENOMEM) => Self::NoSocket,
            _ => Self::ConnectFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_in_order_and_has_its_own_name() {
        for (index, failure) in Failure::ALL.iter().copied().enumerate() {
            assert_eq!(failure as usize, index);
            assert_eq!(Failure::ALL.iter().filter(|other| other.name() == failure.name()).count(), 1);
        }
    }

    #[test]
    fn running_out_of_ports_or_descriptors_is_our_own_fault() {
        let of = |errno| Failure::of_connect(&io::Error::from_raw_os_error(errno));
        assert_eq!(of(libc::EMFILE), Failure::NoDescriptors);
        assert_eq!(of(libc::EADDRNOTAVAIL), Failure::NoPorts);
        assert!(of(libc::EMFILE).is_ours() && of(libc::EADDRNOTAVAIL).is_ours());
        assert_eq!(of(libc::ECONNREFUSED), Failure::ConnectRefused);
        assert!(!of(libc::ECONNREFUSED).is_ours());
        assert_eq!(of(libc::EHOSTUNREACH), Failure::ConnectFailed);
    }
}
