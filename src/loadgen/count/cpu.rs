//! How much of a core the calling thread uses in the measured time.

use std::io;

use super::gap_sample::GapSample;
use super::starts::Starts;
use crate::loadgen::schedule::Window;
use crate::sys::clock::thread_cpu_ns;

/// Share of a core above which a thread's results may show the generator's limit rather than the server's.
pub const BUSY_SHARE: f64 = 0.9;

/// What one thread used and observed, besides its counts.
#[derive(Clone, Debug)]
pub struct ThreadUse {
    /// When it sent its last request or received its last response, whichever was later, in ns of the measured time.
    pub finished_ns: u64,
    /// When it ended, likewise.
    pub stopped_ns: u64,
    /// CPU time in the measured time, in ns.
    pub cpu_ns: u64,
    pub wall_ns: u64,
    /// Present if arrivals are random.
    pub gaps: Option<GapSample>,
    pub starts: Starts,
}

/// CPU time of this thread between the begin and the end of the measured time.
#[derive(Debug)]
pub struct CpuMeter {
    window: Window,
    begin: Option<(u64, u64)>,
    end: Option<(u64, u64)>,
}

impl CpuMeter {
    pub fn new(window: Window) -> Self {
        Self { window, begin: None, end: None }
    }

    /// Takes a reading if the measured time has begun or ended by `now`; `is_over`: the last response is there, which
    /// ends it early.
    pub fn read(&mut self, now: u64, is_over: bool) -> io::Result<()> {
        if self.begin.is_none() && now >= self.window.begin {
            self.begin = Some((now, thread_cpu_ns()?));
        }
        if self.end.is_none() && self.begin.is_some() && (is_over || now >= self.window.end) {
            self.end = Some((now, thread_cpu_ns()?));
        }
        Ok(())
    }

    /// CPU time and elapsed time in ns; 0 if the measured time was not reached.
    pub fn used(&self) -> (u64, u64) {
        let (Some(begin), Some(end)) = (self.begin, self.end) else { return (0, 0) };
        (end.1 - begin.1, end.0 - begin.0)
    }
}
