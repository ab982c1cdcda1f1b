//! Waiting on an epoll instance through any descriptor of it: nix wants to own the one it waits on, and a worker waits on
//! an alias that a signal may replace.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::cerr;

/// Waits for one event and returns its data; `None` after `timeout_ms` (-1: never).
///
/// # Errors
/// Those of `epoll_wait(2)`: `EINVAL` if the descriptor is not an epoll instance.
pub fn wait_one(epoll: BorrowedFd<'_>, timeout_ms: i32) -> io::Result<Option<u64>> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: the kernel writes one event at most, to live memory of the right type.
    let n = cerr(unsafe { libc::epoll_wait(epoll.as_raw_fd(), &raw mut event, 1, timeout_ms) })?;
    Ok((n > 0).then_some(event.u64))
}
