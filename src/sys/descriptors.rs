//! All descriptors from 3 on: close_range(2), or the list in /proc if a kernel or sandbox refuses the call or one of
//! its flags.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit};

/// The first descriptor that is not a standard stream.
const FIRST: RawFd = 3;
/// Without /proc, at most this many numbers are tried.
const MOST_TRIED: u64 = 65_536;

/// Marks every descriptor from 3 on close-on-exec, so that handlers do not inherit what the program was started with.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn close_on_exec_from_3() -> io::Result<()> {
    if range(FIRST, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC as i32).is_ok() {
        return Ok(());
    }
    for fd in open() {
        // SAFETY: sets a flag; the number need not be open.
        match super::cerr(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }) {
            Err(error) if error.raw_os_error() != Some(libc::EBADF) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a descriptor stays open when this process executes another program.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn keep_at_exec(fd: BorrowedFd<'_>, keep: bool) -> io::Result<()> {
    let flags = if keep { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    Ok(fcntl(fd, FcntlArg::F_SETFD(flags)).map(drop)?)
}

/// Closes every descriptor from 3 on except `kept`: for a process that has just begun, in which no other code owns one.
pub fn close_from_3_but(kept: &[RawFd]) {
    let mut kept: Vec<RawFd> = kept.iter().copied().filter(|&fd| fd >= FIRST).collect();
    kept.sort_unstable();
    let ends = kept.iter().map(|&fd| fd - 1).chain([RawFd::MAX]);
    let starts = [FIRST].into_iter().chain(kept.iter().map(|&fd| fd + 1));
    let mut gaps = starts.zip(ends).filter(|(start, end)| start <= end);
    if gaps.all(|(start, end)| range(start, end, 0).is_ok()) {
        return;
    }
    for fd in open().into_iter().filter(|fd| !kept.contains(fd)) {
        // SAFETY: the caller promises that no code of this process owns it; the number need not be open.
        unsafe { libc::close(fd) };
    }
}

fn range(first: RawFd, last: RawFd, flags: i32) -> io::Result<()> {
    // SAFETY: sets a flag on descriptors, or closes those that no code owns, as the callers promise.
    super::cerr(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// Numbers from 3 on that are open, or may be.
fn open() -> Vec<RawFd> {
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(MOST_TRIED, |(soft, _)| soft.min(MOST_TRIED));
        return (FIRST..RawFd::try_from(limit).unwrap_or(RawFd::MAX)).collect();
    };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    listed.flatten().filter_map(number).filter(|&fd| fd >= FIRST).collect()
}
