//! fork(2) for a single-threaded process, and its standard streams.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::unistd::{ForkResult, Pid};

/// fork(2) for a single-threaded process: the child may then do anything. `None` is the child.
///
/// # Errors
/// Those of `fork`, or the process has more than one thread (or `/proc` cannot be read).
pub fn fork_single_threaded() -> io::Result<Option<Pid>> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("fork in a process of several threads"));
    }
    // SAFETY: no other thread exists whose locks the child could find taken for ever (checked above).
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Redirects standard input, output and error to `/dev/null`.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub fn standard_streams_to_null() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

/// Makes the descriptor `fd` refer to what `by` refers to (dup3, close-on-exec); what it referred to before is closed.
///
/// # Errors
/// Those of `dup3(2)`.
pub fn replace(fd: BorrowedFd<'_>, by: OwnedFd) -> io::Result<()> {
    // SAFETY: both descriptors are open; the number `fd` stays valid for its owner all the time.
    super::cerr(unsafe { libc::dup3(by.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}
