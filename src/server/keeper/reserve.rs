//! Descriptors that the keeper holds back, so that it can read the process table when there is none left.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::resource::{Resource, getrlimit};

/// A directory and a file for the process table, and one to open a pidfd meanwhile.
const RESERVED: usize = 3;
/// Kept free beside those: for a message that brings a descriptor, and the log when it is opened anew.
const MARGIN: usize = 2;

/// This many free ones are not counted any further: then it is the limit that counts...
const ENOUGH: usize = 512;
/// ...without those that a keeper has open at the most.
const FEW_OPEN: usize = 64;

/// The reserve.
#[derive(Debug)]
pub struct Reserve {
    held: Vec<OwnedFd>,
    capacity: usize,
}

impl Reserve {
    /// Takes the descriptors.
    ///
    /// # Errors
    /// There are too few for a single handler.
    pub fn new() -> io::Result<Self> {
        let mut reserve = Self { held: Vec::new(), capacity: 0 };
        reserve.refill()?;
        let (most, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // Not counted in /proc/self/fd, which a process that is not dumpable may not read.
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

    /// Gives the descriptors away for as long as `work` takes.
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.held.clear();
        let done = work();
        // If one cannot be had back now, it is taken the next time.
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

/// A descriptor, if one is left.
fn another() -> Option<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned().ok()
}
