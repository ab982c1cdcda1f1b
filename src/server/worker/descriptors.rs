//! A worker's file descriptors when they are scarce: slow connections must leave some for new ones.

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::resource::{Resource, getrlimit};

/// This many, or a quarter of all if that is less, are reserved for connections that are served at once.
const RESERVED: u64 = 32;

#[derive(Debug)]
pub struct Descriptors {
    highest_held: RawFd,
    /// What a connection and the launch of its handler need.
    needed: usize,
    scarce: AtomicBool,
}

impl Descriptors {
    /// Reads the process's limit. `relayed`: responses may be relayed.
    ///
    /// # Errors
    /// Those of getrlimit(2): none.
    pub fn new(relayed: bool) -> io::Result<Self> {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let highest_held = RawFd::try_from(soft - (soft / 4).min(RESERVED)).unwrap_or(RawFd::MAX);
        // The connection, a pidfd, and both ends of a pipe.
        Ok(Self { highest_held, needed: if relayed { 4 } else { 2 }, scarce: AtomicBool::new(false) })
    }

    /// Whether a slow connection may keep this descriptor.
    pub fn may_be_held(&self, fd: RawFd) -> bool {
        fd <= self.highest_held
    }

    /// A descriptor is held while a handler runs. After the first high number, [`spare`](Self::spare) always checks.
    pub fn taken(&self, fd: RawFd) {
        if !self.may_be_held(fd) {
            self.scarce.store(true, Relaxed);
        }
    }

    /// Checks that descriptors are free for a connection and the launch of its handler. A connection that is
    /// passed to a worker without a free descriptor is lost (SCM_RIGHTS of unix(7)), while it could have waited.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`.
    pub fn spare(&self) -> io::Result<()> {
        if self.scarce.load(Relaxed) {
            let any = io::stderr();
            let copy = |_| any.as_fd().try_clone_to_owned();
            (0..self.needed).map(copy).collect::<io::Result<Vec<_>>>()?;
        }
        Ok(())
    }
}
