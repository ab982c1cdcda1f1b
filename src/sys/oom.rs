//! The OOM score (`oom_score_adj` in proc(5)) of a process or of its forked children.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

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
    /// the memory more. Any process may raise its score and lower it again. `fork` gives `None` in the child.
    pub fn raised_by(
        &self,
        points: i32,
        fork: impl FnOnce() -> io::Result<Option<Pid>>,
    ) -> io::Result<Option<Pid>> {
        // If it fails the kernel chooses by memory alone; that does not prevent the fork.
        let _ = self.set((self.own + points).min(1000));
        let forked = fork();
        // Not in the child: it would lower its parent's score, perhaps just before the parent forks again.
        if !matches!(forked, Ok(None)) {
            let _ = self.set(self.own);
        }
        forked
    }

    fn set(&self, score: i32) -> io::Result<()> {
        self.file.write_all_at(score.to_string().as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> i32 {
        std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap()
    }

    #[test]
    fn the_parent_lowers_its_score_again_and_the_child_leaves_its_parents_score_alone() {
        let score = Score::open().unwrap();
        let raised = (score.own + 7).min(1000);
        for (forked, afterwards) in [(Some(Pid::this()), score.own), (None, raised)] {
            let mut meanwhile = 0;
            let fork = || {
                meanwhile = points();
                Ok(forked)
            };
            assert_eq!(score.raised_by(7, fork).unwrap(), forked);
            assert_eq!((meanwhile, points()), (raised, afterwards), "{forked:?}");
        }
        score.set(score.own).unwrap();
    }
}
