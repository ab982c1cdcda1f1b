//! Signals as data: a signal asks the runner to stop; the runner decides when.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::cell::Cell;

/// SIGINT, SIGTERM and SIGHUP, blocked and polled.
#[derive(Debug)]
pub struct Interrupt {
    signals: SignalFd,
    seen: Cell<bool>,
}

impl Interrupt {
    /// Blocks the signals in this thread and those that it starts. Call it before there are others.
    pub fn hold() -> nix::Result<Self> {
        let mask: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { signals, seen: Cell::new(false) })
    }

    pub fn requested(&self) -> bool {
        if matches!(self.signals.read_signal(), Ok(Some(_))) {
            self.seen.set(true);
        }
        self.seen.get()
    }
}
