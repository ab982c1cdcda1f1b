//! Descriptors that a program is started with beyond the usual three, as service managers pass them (sd_listen_fds(3)).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The first one.
const FIRST: RawFd = 3;
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes `count` descriptors from 3 on, close-on-exec from now on; once. The caller has been told that they are its own.
///
/// # Errors
/// `EBADF` when one of them is not open; `AlreadyExists` the second time.
pub fn take(count: RawFd) -> io::Result<Vec<OwnedFd>> {
    if TAKEN.swap(true, SeqCst) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    (FIRST..FIRST.saturating_add(count)).map(own).collect()
}

fn own(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only asks for the flags of the number, which need not be open.
    super::cerr(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: open, passed to this program by the one that started it, and taken once: nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}
