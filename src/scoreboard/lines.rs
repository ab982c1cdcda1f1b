//! Waiting for log lines that processes have buffered.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Scoreboard;

/// Bound, because a stopped process never writes.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(2);

impl Scoreboard {
    /// Waits until the lines that are buffered now are written; not for later ones.
    pub fn await_lines(&self) {
        let mut waiting: Vec<_> = self.used().collect();
        let end = Instant::now() + PATIENCE;
        loop {
            waiting.retain(|row| row.unwritten.load(Relaxed) != 0);
            if waiting.is_empty() || Instant::now() >= end {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}
