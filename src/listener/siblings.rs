//! The rows of the workers of one generation in the scoreboard, for strategies that look at what their siblings do.

use std::sync::atomic::Ordering::Relaxed;

use crate::scoreboard::{Row, Scoreboard};

/// The workers of a generation, by their numbers.
#[derive(Clone, Debug)]
pub struct Siblings {
    board: &'static Scoreboard,
    generation: u64,
    slots: Vec<usize>,
}

impl Siblings {
    /// The workers of `generation`, whose rows are `slots`.
    pub fn new(board: &'static Scoreboard, generation: u64, slots: Vec<usize>) -> Self {
        Self { board, generation, slots }
    }

    /// The row of a worker, while it is that worker's: `None` before its first start, and when another generation has
    /// got the slot since.
    pub fn row(&self, worker: usize) -> Option<&'static Row> {
        let row = self.board.row(*self.slots.get(worker)?);
        (row.generation.load(Relaxed) == self.generation).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_siblings_only_in_its_own_generation() {
        let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::anonymous(3).unwrap()));
        let siblings = Siblings::new(board, 7, vec![2, 0]);
        assert!(siblings.row(0).is_none(), "it has not started");
        board.row(2).generation.store(7, Relaxed);
        board.row(2).open.store(5, Relaxed);
        assert_eq!(siblings.row(0).unwrap().open.load(Relaxed), 5);
        board.row(2).generation.store(8, Relaxed);
        assert!(siblings.row(0).is_none(), "the slot is another's now");
        assert!(siblings.row(9).is_none());
    }
}
