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
    scarce: AtomicBool,
}

impl Descriptors {
    /// Reads the process's limit.
    ///
    /// # Errors
    /// Those of getrlimit(2): none.
    pub fn new() -> io::Result<Self> {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let highest_held = RawFd::try_from(soft - (soft / 4).min(RESERVED)).unwrap_or(RawFd::MAX);
        Ok(Self { highest_held, scarce: AtomicBool::new(false) })
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

    /// Checks that two descriptors are free: for a connection, and for watching its handler. A connection that is
    /// passed to a worker without a free descriptor is lost (SCM_RIGHTS of unix(7)), while it could have waited.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`.
    pub fn spare(&self) -> io::Result<()> {
        if self.scarce.load(Relaxed) {
            let any = io::stderr();
            let _two = [any.as_fd().try_clone_to_owned()?, any.as_fd().try_clone_to_owned()?];
        }
        Ok(())
    }
}
