//! `--max-body-memory`: counts what arriving request bodies hold in memory, in the row of their worker.

use std::sync::atomic::Ordering::SeqCst;

use super::shared::Shared;
use crate::http::refusal::{BODY_MEMORY, Refusal};
use crate::scoreboard::subtract;

/// What one body holds; given back when this is dropped.
#[derive(Debug)]
pub struct BodyMemory {
    shared: &'static Shared,
    bytes: u64,
}

impl BodyMemory {
    pub fn new(shared: &'static Shared) -> Self {
        Self { shared, bytes: 0 }
    }

    /// The body is about to hold this much. Without a limit nothing is counted.
    ///
    /// # Errors
    /// All bodies together would hold too much: 503.
    pub fn change(&mut self, bytes: u64) -> Result<(), Refusal> {
        let Some(most) = self.shared.settings.max_body_memory else { return Ok(()) };
        let counter = &self.shared.row().bodies;
        if bytes <= self.bytes {
            subtract(counter, self.bytes - bytes);
        } else {
            let more = bytes - self.bytes;
            counter.fetch_add(more, SeqCst);
            // Of two workers that add at the same time, at least one sees both.
            if self.shared.board.body_bytes() > most {
                subtract(counter, more);
                return Err(BODY_MEMORY);
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        if self.bytes > 0 {
            subtract(&self.shared.row().bodies, self.bytes);
        }
    }
}
