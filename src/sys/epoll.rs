//! Waiting on an epoll instance through any descriptor of it: nix wants to own the one it waits on, and a worker waits on
//! an alias that a signal may replace.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::sys::epoll::EpollEvent;

use super::cerr;

/// Waits for events, as many as there is room for, and returns their number; 0 after `timeout_ms` (-1: never).
///
/// # Errors
/// Those of `epoll_wait(2)`: `EINVAL` if the descriptor is not an epoll instance.
pub fn wait(epoll: BorrowedFd<'_>, events: &mut [EpollEvent], timeout_ms: i32) -> io::Result<usize> {
    let (room, most) = (events.as_mut_ptr().cast(), i32::try_from(events.len()).unwrap_or(i32::MAX));
    // SAFETY: nix's event is the kernel's (`repr(transparent)`), and `most` of them are live memory.
    let n = cerr(unsafe { libc::epoll_wait(epoll.as_raw_fd(), room, most, timeout_ms) })?;
    Ok(usize::try_from(n).unwrap_or(0))
}

/// Waits for one event and returns its data; `None` after `timeout_ms` (-1: never).
///
/// # Errors
/// Those of [`wait`].
pub fn wait_one(epoll: BorrowedFd<'_>, timeout_ms: i32) -> io::Result<Option<u64>> {
    let mut event = [EpollEvent::empty()];
    Ok((wait(epoll, &mut event, timeout_ms)? > 0).then(|| event[0].data()))
}
