//! The OOM score (`oom_score_adj` in proc(5)) of a process or of its forked children.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The score of this process. Opened early: after a change of user, or in an undumpable process, the file belongs to
/// root. A forked child inherits the score, and its copy of this still refers to its parent's score.
#[derive(Debug)]
pub struct Score {
    file: File,
    own: i32,
}

impl Score {
    /// Opens the file.
    ///
    /// # Errors
    /// `ENOENT` without /proc; `EACCES` if it is too late.
    pub fn open() -> io::Result<Self> {
        const FILE: &str = "/proc/self/oom_score_adj";
        let own = std::fs::read_to_string(FILE)?.trim().parse().map_err(io::Error::other)?;
        Ok(Self { file: File::options().write(true).open(FILE)?, own })
    }

    /// Runs `fork` with the score raised by `points`, so that the child counts as if it used this many thousandths of
    /// the memory more. Any process may raise its score and lower it again.
    pub fn raised_by<T>(&self, points: i32, fork: impl FnOnce() -> T) -> T {
        // If it fails the kernel chooses by memory alone; that does not prevent the fork.
        let _ = self.set((self.own + points).min(1000));
        let forked = fork();
        let _ = self.set(self.own);
        forked
    }

    fn set(&self, score: i32) -> io::Result<()> {
        self.file.write_all_at(score.to_string().as_bytes(), 0)
    }
}
