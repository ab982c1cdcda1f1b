//! Processes: pidfds, and the fork of a program that has one thread.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

use super::cerr;

/// A process that cannot be mistaken for a later one of the same number (pidfd_open(2)).
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// Refers to the process that has the number `pid` now.
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = cerr(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        // SAFETY: the kernel returned a new descriptor (close-on-exec), which is ours alone.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when the process has ended, `EPERM` when it is not ours.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let (fd, no_info) = (self.0.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: a null siginfo asks the kernel to fill in what kill(2) would.
        cerr(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, no_info, 0) }).map(drop)
    }

    /// Waits up to `timeout_ms` for the end of the process; whether it has ended.
    ///
    /// # Errors
    /// Those of poll(2), `EINTR` among them.
    pub fn wait(&self, timeout_ms: u16) -> io::Result<bool> {
        let mut ended = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut ended, PollTimeout::from(timeout_ms))? > 0)
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// fork(2), for a process with one thread: the child may then do whatever it likes. `None` is the child.
///
/// # Errors
/// Those of `fork`, or an error when the process has more than one thread (or `/proc` cannot be read).
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

/// Puts `/dev/null` in the place of standard input, output and error.
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
