//! How much of a core the calling thread uses. It knows the times of the run, not what is done in them.

use std::io;

use crate::loadgen::schedule::cursor::Window;
use crate::sys::clock::thread_cpu_ns;

/// CPU time of this thread between the begin and the end of the measured time.
#[derive(Debug)]
pub struct Meter {
    window: Window,
    begin: Option<(u64, u64)>,
    end: Option<(u64, u64)>,
}

impl Meter {
    /// For the measured time of `window`.
    pub fn new(window: Window) -> Self {
        Self { window, begin: None, end: None }
    }

    /// Looks at the clock `now`; `is_over`: nothing is sent any more, so that the measured time ends early.
    ///
    /// # Errors
    /// Those of [`thread_cpu_ns`].
    pub fn read(&mut self, now: u64, is_over: bool) -> io::Result<()> {
        if self.begin.is_none() && now >= self.window.begin {
            self.begin = Some((now, thread_cpu_ns()?));
        }
        if self.end.is_none() && self.begin.is_some() && (is_over || now >= self.window.end) {
            self.end = Some((now, thread_cpu_ns()?));
        }
        Ok(())
    }

    /// CPU time and time, in ns; 0 when the measured time was not reached.
    pub fn used(&self) -> (u64, u64) {
        let (Some(begin), Some(end)) = (self.begin, self.end) else { return (0, 0) };
        (end.1 - begin.1, end.0 - begin.0)
    }
}
