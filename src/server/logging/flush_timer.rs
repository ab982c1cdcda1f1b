//! When a process writes the lines that it buffers: a timer, and a mark in the scoreboard for those who read the log.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};

/// Longest time for which a line is buffered.
const FLUSH_MS: u64 = 20;

/// The timer of a process that buffers. The first line that waits starts it, and later ones do not put it off.
#[derive(Debug)]
pub struct FlushTimer {
    timer: TimerFd,
    /// Whether it was started and no flush has begun since.
    started: AtomicBool,
    /// How often it was started.
    starts: AtomicU64,
    /// In the scoreboard: which start the buffered lines wait for, 0 without such lines.
    mark: &'static AtomicU64,
}

impl FlushTimer {
    /// # Errors
    /// Those of `timerfd_create(2)`.
    pub fn new(mark: &'static AtomicU64) -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        mark.store(0, SeqCst);
        Ok(Self { timer, started: AtomicBool::new(false), starts: AtomicU64::new(0), mark })
    }

    /// A line waits in a buffer, whose lock the caller holds. Returns whether the timer will expire.
    pub fn line_waits(&self) -> bool {
        if self.started.load(SeqCst) || self.started.swap(true, SeqCst) {
            return true;
        }
        self.mark.store(self.starts.fetch_add(1, SeqCst) + 1, SeqCst);
        let soon = Expiration::OneShot(Duration::from_millis(FLUSH_MS).into());
        let set = self.timer.set(soon, TimerSetTimeFlags::empty()).is_ok();
        if !set {
            self.started.store(false, SeqCst);
        }
        set
    }

    /// Buffers are about to be written: a line that one gets after that may start the timer again. Returns the mark for
    /// [`written`](Self::written).
    pub fn begin(&self) -> u64 {
        self.started.store(false, SeqCst);
        self.mark.load(SeqCst)
    }

    /// All buffers were written since [`begin`](Self::begin) returned this mark.
    pub fn written(&self, mark: u64) {
        // If lines wait for a later start already, its mark stays.
        let _ = self.mark.compare_exchange(mark, 0, SeqCst, SeqCst);
    }

    /// Stops the timer, and acknowledges its expiry.
    pub fn stop(&self) {
        let _ = self.timer.unset();
    }
}

impl AsFd for FlushTimer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer() -> FlushTimer {
        FlushTimer::new(Box::leak(Box::default())).unwrap()
    }

    fn left(timer: &FlushTimer) -> Option<Duration> {
        let Some(Expiration::OneShot(left)) = timer.timer.get().unwrap() else { return None };
        Some(left.into())
    }

    #[test]
    fn a_later_line_does_not_put_the_flush_off() {
        let timer = timer();
        assert!(left(&timer).is_none());
        assert!(timer.line_waits());
        let first = left(&timer).unwrap_or_default();
        std::thread::sleep(Duration::from_millis(2));
        assert!(timer.line_waits());
        assert!(left(&timer).unwrap_or_default() <= first.saturating_sub(Duration::from_millis(2)));
    }

    #[test]
    fn a_line_after_the_begin_of_a_flush_starts_the_timer_again() {
        let timer = timer();
        timer.line_waits();
        timer.stop();
        timer.written(timer.begin());
        assert!(left(&timer).is_none());
        timer.line_waits();
        assert!(left(&timer).is_some());
    }

    #[test]
    fn the_mark_stays_while_lines_wait() {
        let timer = timer();
        let mark = || timer.mark.load(SeqCst);
        assert_eq!(mark(), 0);
        timer.line_waits();
        let first = mark();
        assert_ne!(first, 0);
        let begun = timer.begin();
        timer.line_waits(); // in a buffer that was written already
        assert!(mark() != 0 && mark() != first);
        timer.written(begun);
        assert_ne!(mark(), 0);
        timer.written(timer.begin());
        assert_eq!(mark(), 0);
    }
}
