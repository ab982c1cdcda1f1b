//! Starts a handler: a process with a shared address space, a few system calls, `execve`, and nothing else on the way.
//!
//! # Why this is sound
//! `vfork()` cannot be called from Rust: it returns twice into the same frame. Here the child never returns: it
//! begins in `child::begin`, a function of its own on a stack of its own, and ends in `execve` or `_exit`.
//! - `CLONE_VM | CLONE_VFORK`: the calling thread sleeps until the child has left the shared memory, so everything
//!   that the child reads (borrowed in [`Order`]) outlives it, and its one write (the error) is ordered before our read.
//! - None of our signal handlers can run in the child: `CLONE_CLEAR_SIGHAND` resets them, or all signals are blocked until
//!   the child has done so (`clone`).
//! - The child makes system calls only; no allocation, no lock, no destructor, no panic.
//! - The descriptor table is copied, not shared: `dup2` in the child changes nothing here.
//!
//! clone(2), execve(2); measured in the project's notes: 5 system calls with three descriptors, 4 to 6 here, one of which
//! gives the child a process group of its own: a script that ends with `kill 0` must not take its worker along.

mod child;
mod clone;
#[cfg(test)]
mod tests;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use nix::sys::resource::Resource;

use super::cstrings::CStrings;
use super::map::Pages;
use child::Task;
use clone::Way;

/// Stack for [`child::begin`], which needs a few hundred bytes (more in unoptimised builds).
const STACK_BYTES: usize = 32 * 1024;

/// The program to start. The new process has descriptors 0 (`stdin`, or the caller's 0), 1 (`stdout`), 2 (`stderr`, or
/// the caller's), and those of the caller that are not close-on-exec.
#[derive(Debug)]
pub struct Order<'a> {
    /// Absolute path of the program.
    pub program: &'a CStr,
    /// Its arguments, the name first.
    pub arguments: &'a mut CStrings,
    /// Its environment.
    pub environment: &'a mut CStrings,
    /// Its working directory.
    pub directory: &'a CStr,
    /// Its standard input; `None` leaves the caller's.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Its standard output.
    pub stdout: BorrowedFd<'a>,
    /// Its standard error; `None` leaves the caller's.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Where the new process writes its pid before it executes the program.
    pub pid: Option<&'a AtomicU64>,
    /// SIGALRM after this many seconds; 0 is never.
    pub alarm_s: u32,
    /// Its resource limits, if they differ from the caller's.
    pub limits: &'a [Limit],
    /// Set an empty signal mask (a caller whose mask is empty saves the call).
    pub clear_mask: bool,
}

/// A resource limit, as setrlimit(2) takes it.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    resource: libc::__rlimit_resource_t,
    limit: libc::rlimit,
}

impl Limit {
    /// `soft` and `hard` for `resource`, in its units.
    pub fn new(resource: Resource, soft: u64, hard: u64) -> Self {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        Self { resource: resource as libc::__rlimit_resource_t, limit }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The process could not be created.
    #[error("cannot make a process: {}", io::Error::from_raw_os_error(*.0))]
    Clone(i32),
    /// A pipe for its standard output could not be made.
    #[error("cannot make a pipe: {}", io::Error::from_raw_os_error(*.0))]
    Pipe(i32),
    /// The process could not execute the program.
    #[error("cannot execute: {}", io::Error::from_raw_os_error(*.0))]
    Exec(i32),
}

/// A started process. The kernel reaps it when the caller's SIGCHLD says so (`SA_NOCLDWAIT`).
#[derive(Debug)]
pub struct Started {
    /// Its process id.
    pub pid: i32,
    /// A descriptor that becomes readable when it ends, if asked for.
    pub pidfd: Option<OwnedFd>,
}

/// Starts processes, one at a time. Each thread that launches has its own.
#[derive(Debug)]
pub struct Spawner {
    stack: Pages,
    way: Way,
}

impl Spawner {
    /// Allocates the child's stack.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Ok(Self { stack: Pages::new(STACK_BYTES)?, way: Way::default() })
    }

    /// Starts a process and returns once it has executed its program or failed.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn(&mut self, order: Order<'_>, with_pidfd: bool) -> Result<Started, SpawnError> {
        let mut task = Task {
            program: order.program.as_ptr(),
            arguments: order.arguments.pointers(),
            environment: order.environment.pointers(),
            directory: order.directory.as_ptr(),
            stdin: order.stdin.map_or(-1, |fd| fd.as_raw_fd()),
            stdout: order.stdout.as_raw_fd(),
            stderr: order.stderr.map_or(-1, |fd| fd.as_raw_fd()),
            pid: order.pid.map_or(std::ptr::null(), std::ptr::from_ref),
            alarm_s: order.alarm_s,
            limits: order.limits.as_ptr(),
            limit_count: order.limits.len(),
            reset_handlers: false,
            mask: order.clear_mask.then_some(0),
            error: 0,
        };
        let (pid, pidfd) =
            self.way.start(&mut self.stack, &mut task, with_pidfd).map_err(SpawnError::Clone)?;
        // SAFETY: a plain read of a live local that the child may have written before it ended.
        match unsafe { (&raw const task.error).read_volatile() } {
            0 => Ok(Started { pid, pidfd }),
            errno => Err(SpawnError::Exec(errno)),
        }
    }
}
