//! A worker's descriptors when they become scarce: who may take one for long, and whether there is one for the next connection.

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::resource::{Resource, getrlimit};

/// This many, or a quarter of all if that is less, are for connections that are served at once.
const RESERVED: u64 = 32;

/// What a worker knows of them.
#[derive(Debug)]
pub struct Descriptors {
    highest_held: RawFd,
    scarce: AtomicBool,
}

impl Descriptors {
    /// Of this process, by its limit.
    ///
    /// # Errors
    /// Those of getrlimit(2): none.
    pub fn new() -> io::Result<Self> {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let highest_held = RawFd::try_from(soft - (soft / 4).min(RESERVED)).unwrap_or(RawFd::MAX);
        Ok(Self { highest_held, scarce: AtomicBool::new(false) })
    }

    /// Whether a client that has to be waited for may keep this one.
    pub fn may_be_held(&self, fd: RawFd) -> bool {
        fd <= self.highest_held
    }

    /// This one was taken for as long as a handler runs. After the first high number the worker always looks before it accepts.
    pub fn taken(&self, fd: RawFd) {
        if !self.may_be_held(fd) {
            self.scarce.store(true, Relaxed);
        }
    }

    /// Whether there are two: for a connection, and for watching its handler. A strategy that is passed connections has lost one
    /// for which there is no descriptor (SCM_RIGHTS of unix(7)), while it could have waited.
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
