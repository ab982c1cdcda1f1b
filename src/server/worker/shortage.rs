//! Handles errors of accept(): which concern one connection, which are temporary, and how long to pause.

use std::io;
use std::time::Duration;

/// Pause when accept() would fail again at once.
const PAUSE: Duration = Duration::from_millis(50);
/// After this many consecutive failures, the error is not limited to one connection.
const IN_A_ROW: u32 = 100;

/// The state of consecutive failures.
#[derive(Debug, Default)]
pub struct Shortage {
    told: bool,
    in_a_row: u32,
}

impl Shortage {
    /// Handles a failed accept(): ignores signals, pauses for an error that would recur, and logs that once.
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
                    "cannot accept: {error}; if the listening socket was shut down, restart the instance"
                ),
            }
        }
        self.in_a_row = 0;
        std::thread::sleep(PAUSE);
    }

    pub fn is_over(&mut self) {
        self.in_a_row = 0;
        if std::mem::take(&mut self.told) {
            tracing::info!("accepting again");
        }
    }
}

/// The error concerns one connection: it was closed, or the network reported an error for it (accept(2), "Error
/// handling").
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

/// The process or the system has run out of descriptors or memory, or of descriptors in flight.
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
