//! Descriptors that the keeper reserves, so that it can read the process table when no other is left.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::resource::{Resource, getrlimit};

/// For the process table (a directory and a file) and a pidfd.
const RESERVED: usize = 3;
/// Also kept free: for a message with a descriptor, and for reopening the log.
const MARGIN: usize = 2;

/// Beyond this many, free descriptors are not counted; then the limit decides...
const ENOUGH: usize = 512;
/// ...minus those that a keeper has open at most.
const FEW_OPEN: usize = 64;

#[derive(Debug)]
pub struct Reserve {
    held: Vec<OwnedFd>,
    capacity: usize,
}

impl Reserve {
    /// Opens the reserved descriptors.
    ///
    /// # Errors
    /// There are too few to watch a single handler.
    pub fn new() -> io::Result<Self> {
        let mut reserve = Self { held: Vec::new(), capacity: 0 };
        reserve.refill()?;
        let (most, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // Not counted in /proc/self/fd, which an undumpable process may not read.
        let free = std::iter::from_fn(another).take(ENOUGH).collect::<Vec<_>>().len();
        let free = if free < ENOUGH { free } else { most.saturating_sub(FEW_OPEN).max(ENOUGH) };
        reserve.capacity = free.saturating_sub(MARGIN);
        match reserve.capacity {
            0 => Err(io::Error::from_raw_os_error(libc::EMFILE)),
            _ => Ok(reserve),
        }
    }

    /// How many handlers can be watched at once.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Frees the reserved descriptors while `work` runs.
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.held.clear();
        let done = work();
        // If one cannot be reopened now, the next call does it.
        let _ = self.refill();
        done
    }

    fn refill(&mut self) -> io::Result<()> {
        while self.held.len() < RESERVED {
            self.held.push(io::stdin().as_fd().try_clone_to_owned()?);
        }
        Ok(())
    }
}

fn another() -> Option<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned().ok()
}
