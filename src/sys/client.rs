//! Client sockets: what `nix` lacks for waiting for them, and for asking about them. It decides nothing.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};

/// `epoll_pwait2` is refused here.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Like `epoll_wait`, with a time-out in nanoseconds: `epoll_pwait2` (Linux 5.11), or where that is refused `ppoll` on the set
/// and a look into it. Returns how many of `events` were filled; 0 after the time-out.
///
/// # Errors
/// `EINTR` when a signal handler ran.
pub fn epoll_wait_ns(epoll: &Epoll, events: &mut [EpollEvent], timeout_ns: u64) -> io::Result<usize> {
    let timeout = libc::timespec {
        tv_sec: (timeout_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (timeout_ns % 1_000_000_000) as libc::c_long,
    };
    if !REFUSED.load(Relaxed) {
        // SAFETY: `EpollEvent` is a transparent `epoll_event`; the pointers and the length describe live memory, and
        // the kernel keeps none of them beyond the call. No signal mask is given.
        let ready = super::cerr(unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll.0.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as libc::c_int,
                &raw const timeout,
                std::ptr::null::<libc::sigset_t>(),
                size_of::<u64>(),
            )
        });
        match ready {
            Err(error) if super::is_refused(&error) => REFUSED.store(true, Relaxed),
            ready => return Ok(ready? as usize),
        }
    }
    let mut set = [PollFd::new(epoll.0.as_fd(), PollFlags::POLLIN)];
    match ppoll(&mut set, Some(timeout.into()), None)? {
        0 => Ok(0),
        _ => Ok(epoll.wait(events, EpollTimeout::ZERO)?),
    }
}

/// Segments of a TCP connection that had to be sent again so far, SYNs included (`TCP_INFO`).
///
/// # Errors
/// Those of `getsockopt(2)`: it is not a TCP socket.
pub fn total_retransmits(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` and `len` are valid for writing, and `len` says how much room there is.
    super::cerr(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    })?;
    // SAFETY: integers only, zeroed at first, then filled by the kernel as far as it goes.
    Ok(unsafe { info.assume_init() }.tcpi_total_retrans)
}
