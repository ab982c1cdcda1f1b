//! What can go wrong with a request, told apart by phase and by side. Pure.

use std::io;

/// A kind of failure. None of them ever enters a latency histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Connecting: the port is closed (or the accept queue refuses).
    ConnectRefused,
    /// Connecting: no answer within the time-out.
    ConnectTimeout,
    /// Connecting: any other reason, such as no route.
    ConnectFailed,
    /// A kept connection: the server closed or reset it after the request was sent, without a byte of a response. It
    /// may have given up an idle connection just as the request set out. A browser would send the request once more;
    /// a load generator that did so silently would hide what its users meet.
    ClosedBeforeResponse,
    /// A new connection: the server's side reset it before the first byte of a response.
    ResetBeforeResponse,
    /// The server's side reset the connection within the response.
    ResetInResponse,
    /// The connection ended in good order before a complete response head.
    EarlyEnd,
    /// The connection ended in good order within a body whose length was announced.
    ShortBody,
    /// Not HTTP, or more bytes than announced.
    BadResponse,
    /// Connected, and no byte of a response within the time-out.
    TimeoutBeforeResponse,
    /// The time-out passed within the response.
    TimeoutInResponse,
    /// The response was whole, but the server did not close the connection within the time-out.
    TimeoutBeforeClose,
    /// Ours: no file descriptor left.
    NoDescriptors,
    /// Ours: no local port left.
    NoPorts,
    /// Ours: no socket for another reason, such as memory.
    NoSocket,
}

/// All kinds, in the order of the phases.
pub const ALL: [Failure; 15] = [
    Failure::ConnectRefused,
    Failure::ConnectTimeout,
    Failure::ConnectFailed,
    Failure::ClosedBeforeResponse,
    Failure::ResetBeforeResponse,
    Failure::ResetInResponse,
    Failure::EarlyEnd,
    Failure::ShortBody,
    Failure::BadResponse,
    Failure::TimeoutBeforeResponse,
    Failure::TimeoutInResponse,
    Failure::TimeoutBeforeClose,
    Failure::NoDescriptors,
    Failure::NoPorts,
    Failure::NoSocket,
];

impl Failure {
    /// The name in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::ConnectFailed => "connect-failed",
            Self::ClosedBeforeResponse => "closed-before-response",
            Self::ResetBeforeResponse => "reset-before-response",
            Self::ResetInResponse => "reset-in-response",
            Self::EarlyEnd => "early-end",
            Self::ShortBody => "short-body",
            Self::BadResponse => "bad-response",
            Self::TimeoutBeforeResponse => "timeout-before-response",
            Self::TimeoutInResponse => "timeout-in-response",
            Self::TimeoutBeforeClose => "timeout-before-close",
            Self::NoDescriptors => "no-descriptors",
            Self::NoPorts => "no-ports",
            Self::NoSocket => "no-socket",
        }
    }

    /// Whether it is the generator's own, which voids the run.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::NoDescriptors | Self::NoPorts | Self::NoSocket)
    }

    /// Whether the request failed before it had a connection.
    pub fn is_before_connection(self) -> bool {
        self.is_ours() || matches!(self, Self::ConnectRefused | Self::ConnectTimeout | Self::ConnectFailed)
    }

    /// What an error of `socket`, `connect` or the first `send` means. A connection that was refused says so even
    /// to `send`; a reset there hit one that stood.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ECONNRESET | libc::EPIPE) => Self::ResetBeforeResponse,
            Some(libc::ECONNREFUSED) => Self::ConnectRefused,
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
        assert!(ALL.is_sorted());
        for (index, failure) in ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index);
            assert_eq!(ALL.iter().filter(|other| other.name() == failure.name()).count(), 1);
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
