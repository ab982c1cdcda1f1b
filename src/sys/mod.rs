//! System-call wrappers: the only `unsafe` code of the project.
//!
//! A wrapper is a few lines, takes and returns owned types, and decides nothing: what to do about an error
//! is the caller's business. Names are those of the manual pages. Everything here is Linux.

pub mod activation;
pub mod bpf;
pub mod client;
pub mod clock;
pub mod cstrings;
pub mod deployed;
pub mod descriptors;
pub mod epoll;
pub mod executable;
pub mod fdpass;
pub mod fork;
pub mod fs;
pub mod guard;
pub mod image;
pub mod lock;
pub mod map;
pub mod net;
pub mod netns;
pub mod oom;
pub mod pidfd;
pub mod process;
pub mod proctable;
pub mod sandbox;
pub mod signal;
pub mod sockdiag;
pub mod spawn;
pub mod stdio;
pub mod tether;
pub mod traces;
pub mod uring;

use std::io;

/// Turns the C convention (-1 and `errno`) into a `Result`.
///
/// # Errors
/// The `errno` of the failed call.
pub(crate) fn cerr<T: PartialOrd + From<i8>>(returned: T) -> io::Result<T> {
    if returned < T::from(0) { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// Whether a call failed because it does not exist here: an old kernel (`ENOSYS`), or a sandbox that forbids unknown
/// calls (`ENOSYS` or `EPERM`).
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}
