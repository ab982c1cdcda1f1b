//! Who goes first when memory runs out (`oom_score_adj` in proc(5)): a process, or those that it forks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The score of this process. Opened early: after a change of the user, or in a process that is not dumpable, the file is
/// root's. A forked child inherits the score, and its copy of this still names the score of its parent.
#[derive(Debug)]
pub struct Score {
    file: File,
    own: i32,
}

impl Score {
    /// Opens it.
    ///
    /// # Errors
    /// `ENOENT` without /proc; `EACCES` when it is too late.
    pub fn open() -> io::Result<Self> {
        const FILE: &str = "/proc/self/oom_score_adj";
        let own = std::fs::read_to_string(FILE)?.trim().parse().map_err(io::Error::other)?;
        Ok(Self { file: File::options().write(true).open(FILE)?, own })
    }

    /// Does `fork` while the score is `points` higher, so that the child counts as if it used this many thousandths of the memory
    /// more. Any process may raise its score, and lower it to where it was.
    pub fn raised_by<T>(&self, points: i32, fork: impl FnOnce() -> T) -> T {
        // Without it the kernel chooses by memory alone: no reason to have no child.
        let _ = self.set((self.own + points).min(1000));
        let forked = fork();
        let _ = self.set(self.own);
        forked
    }

    fn set(&self, score: i32) -> io::Result<()> {
        self.file.write_all_at(score.to_string().as_bytes(), 0)
    }
}
