//! Waiting for log lines that processes have buffered.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::{Row, Scoreboard};

/// Bound, because a stopped process never writes.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(2);

impl Scoreboard {
    /// Waits until the lines that are buffered now are written; not for later ones.
    pub fn await_lines(&self) {
        let mark = |row: &Row| row.unwritten.load(SeqCst);
        let mut waiting: Vec<_> =
            self.used().map(|row| (row, mark(row))).filter(|(_, of)| *of != 0).collect();
        let end = Instant::now() + PATIENCE;
        loop {
            waiting.retain(|(row, of)| mark(row) == *of);
            if waiting.is_empty() || Instant::now() >= end {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}
