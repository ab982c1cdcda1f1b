//! Counting by a process of the instance that has not inherited its scoreboard.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use super::{Scoreboard, add};

impl Scoreboard {
    /// Maps that of the instance that started at `started_ms`, for another process of it to count.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); `NotFound` if the scoreboard is another instance's.
    pub fn open_to_count(path: &Path, started_ms: u64) -> io::Result<Self> {
        let board = Self::map(path, true)?;
        let own = board.header().started_ms.load(Relaxed) == started_ms;
        own.then_some(board).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts an answer of the server's own in the row of a slot.
    pub fn count_answer(&self, slot: usize, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        if slot < self.rows {
            add(&self.row(slot).answered[class], 1);
        }
    }
}
