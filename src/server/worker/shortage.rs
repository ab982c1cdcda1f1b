//! What an acceptor does when accept() fails: which errors belong to one connection, which pass with time and which last, and
//! how long it stands back. It does not accept.

use std::io;
use std::time::Duration;

/// How long an acceptor stands back when accept() would fail again at once.
const PAUSE: Duration = Duration::from_millis(50);
/// After this many failures in a row it is not one connection's fault any more.
const IN_A_ROW: u32 = 100;

/// Whether accept() fails for want of something.
#[derive(Debug, Default)]
pub struct Shortage {
    told: bool,
    in_a_row: u32,
}

impl Shortage {
    /// After an accept() that gave nothing: a signal is no news; what would fail again needs a moment to pass, and is told once.
    pub fn stand_back(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::Interrupted {
            return;
        }
        self.in_a_row += 1;
        if is_of_one_connection(error) && self.in_a_row < IN_A_ROW {
            return tracing::debug!("accept: {error}");
        }
        if !std::mem::replace(&mut self.told, true) {
            match is_lack(error) {
                true => tracing::warn!("cannot accept for now: {error}"),
                false => tracing::error!(
                    "cannot accept: {error}; if the listening socket was shut down, stop the instance and start it again"
                ),
            }
        }
        self.in_a_row = 0;
        std::thread::sleep(PAUSE);
    }

    /// A connection was accepted.
    pub fn is_over(&mut self) {
        self.in_a_row = 0;
        if std::mem::take(&mut self.told) {
            tracing::info!("accepting again");
        }
    }
}

/// The connection was gone before it was accepted, or the network had an error for it (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EPROTO
                | libc::EPERM
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ENONET
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ETIMEDOUT
                | libc::ENOTCONN
                | libc::ECONNRESET
        )
    )
}

/// Descriptors of this process or of the whole system, memory, or descriptors in flight have run out.
fn is_lack(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ETOOMANYREFS | libc::EAGAIN)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(errno: i32) -> Shortage {
        let mut shortage = Shortage::default();
        shortage.stand_back(&io::Error::from_raw_os_error(errno));
        shortage
    }

    #[test]
    fn what_would_fail_again_is_waited_for() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL, libc::EBADF] {
            let begun = std::time::Instant::now();
            let mut shortage = after(errno);
            assert!(shortage.told && begun.elapsed() >= PAUSE, "{errno}");
            shortage.is_over();
            assert!(!shortage.told);
        }
    }

    #[test]
    fn a_signal_and_a_connection_that_is_gone_cost_no_pause() {
        for errno in [libc::EINTR, libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EPERM] {
            assert!(!after(errno).told, "{errno}");
        }
    }

    #[test]
    fn an_error_that_goes_on_and_on_is_waited_for_whatever_it_is() {
        let mut shortage = Shortage::default();
        for _ in 0..IN_A_ROW {
            assert!(!shortage.told);
            shortage.stand_back(&io::Error::from_raw_os_error(libc::EPERM));
        }
        assert!(shortage.told);
    }
}
