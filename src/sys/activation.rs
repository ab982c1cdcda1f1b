//! Descriptors from 3 on that a service manager passes to a program (sd_listen_fds(3)).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

const FIRST: RawFd = 3;
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes ownership of `count` descriptors from 3 on, once, and makes them close-on-exec. The caller has checked that
/// they were passed to this process.
///
/// # Errors
/// `EBADF` if one of them is not open; `AlreadyExists` the second time.
pub fn take(count: RawFd) -> io::Result<Vec<OwnedFd>> {
    if TAKEN.swap(true, SeqCst) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    (FIRST..FIRST.saturating_add(count)).map(own).collect()
}

/// Takes ownership of descriptors that an earlier program of this process left open for this one, once, and makes them
/// close-on-exec.
///
/// # Errors
/// `EBADF` if one of them is not open; `InvalidInput` if a number is there twice or is a standard stream; `AlreadyExists` the
/// second time.
pub fn take_over(numbers: &[RawFd]) -> io::Result<Vec<OwnedFd>> {
    let distinct: std::collections::BTreeSet<_> = numbers.iter().filter(|&&number| number >= FIRST).collect();
    if distinct.len() != numbers.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if TAKEN.swap(true, SeqCst) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    numbers.iter().copied().map(own).collect()
}

fn own(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only asks for the flags of the number, which need not be open.
    super::cerr(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: open, passed to this program by its parent, and taken once: there is no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}
