//! What an acceptor does when accept() fails: which errors are a lack of something that comes back with time, and how long it
//! stands back for that. It does not accept.

use std::io;
use std::time::Duration;

/// How long an acceptor stands back when the system has no descriptors or memory for a connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether something that accept() needs has run out.
#[derive(Debug, Default)]
pub struct Shortage(bool);

impl Shortage {
    /// After an accept() that gave nothing: a signal is no news; a lack of resources needs a moment to pass, and is told once.
    pub fn stand_back(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::Interrupted {
            return;
        }
        if !is_lack(error) {
            // The connection was gone before it was accepted (accept(2), "Error handling").
            return tracing::debug!("accept: {error}");
        }
        if !std::mem::replace(&mut self.0, true) {
            tracing::warn!("cannot accept for now: {error}");
        }
        std::thread::sleep(PAUSE);
    }

    /// A connection was accepted.
    pub fn is_over(&mut self) {
        if std::mem::take(&mut self.0) {
            tracing::info!("accepting again");
        }
    }
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
    fn whatever_runs_out_is_waited_for() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            let begun = std::time::Instant::now();
            let mut shortage = after(errno);
            assert!(shortage.0 && begun.elapsed() >= PAUSE, "{errno}");
            shortage.is_over();
            assert!(!shortage.0);
        }
    }

    #[test]
    fn a_signal_and_a_connection_that_is_gone_are_no_lack() {
        for errno in [libc::EINTR, libc::ECONNABORTED, libc::EPROTO, libc::ENETDOWN, libc::EPERM] {
            assert!(!after(errno).0, "{errno}");
        }
    }
}
