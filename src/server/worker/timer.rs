//! The one timer of a worker's second thread. It is armed only while something waits, so an idle worker never wakes up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};

/// Resolution of connection deadlines: the timer never fires sooner than this after it was armed.
pub const GRAIN: Duration = Duration::from_millis(20);

/// A timerfd that knows when it fires.
#[derive(Debug)]
pub struct Timer {
    fd: TimerFd,
    armed: Mutex<Option<Instant>>,
}

impl Timer {
    /// Returns a disarmed timer.
    ///
    /// # Errors
    /// Those of timerfd_create(2).
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self { fd: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?, armed: Mutex::default() })
    }

    /// Fires at `deadline`, but not sooner than `grain` from now, unless it fires earlier anyway.
    pub fn arm(&self, deadline: Instant, grain: Duration) {
        let mut armed = self.armed();
        if armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        let wait = deadline.saturating_duration_since(Instant::now()).max(grain);
        if self.fd.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty()).is_ok() {
            *armed = Some(deadline);
        }
    }

    /// Call when the timer has fired, before its deadlines are checked: from now on [`arm`](Self::arm) sets it again.
    pub fn fired(&self) {
        *self.armed() = None;
    }

    /// Call after the deadlines were checked: clears the expiry if nothing has armed the timer since.
    pub fn clear(&self) {
        if self.armed().is_none() {
            let _ = self.fd.unset();
        }
    }

    fn armed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
