//! The state directory: which instances exist, and which of them run.
//!
//! An instance runs if its pid file is locked; nothing else counts. Querying never takes the lock, so it can never make
//! a start fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use super::{Error, Name};
use crate::scoreboard::Scoreboard;
use crate::sys::fs::open_regular;
use crate::sys::lock::is_byte_locked;

/// Locked as soon as a process has the name.
pub(super) const CLAIMED: i64 = 0;
/// Locked as soon as the number in the file is valid.
pub(super) const PID_WRITTEN: i64 = 1;

/// Largest pid file that is read.
const MOST_DIGITS: u64 = 32;

/// The state directory when none is given: `$XDG_STATE_HOME/caffeine`, else `$HOME/.local/state/caffeine`.
/// `None` when neither variable holds an absolute path (XDG Base Directory Specification).
pub fn default_state_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("caffeine"))
}

/// The directory of one instance, whether it exists or not.
#[derive(Clone, Debug)]
pub struct Folder {
    name: Name,
    dir: PathBuf,
    /// Where its files are opened: `dir`, or the current directory.
    files: PathBuf,
}

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No process holds the name.
    Gone,
    /// A process holds the name and has not yet written its number.
    Starting,
    /// The process with this number holds the name.
    Running(u32),
}

impl Folder {
    /// The directory of `name` in `state_dir`.
    pub fn new(state_dir: &Path, name: &Name) -> Self {
        let dir = state_dir.join(name.as_str());
        Self { name: name.clone(), files: dir.clone(), dir }
    }

    /// The same directory once it is the current one: its files are then opened relative to it.
    #[must_use]
    pub fn entered(self) -> Self {
        Self { files: PathBuf::from("."), ..self }
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn pid(&self) -> PathBuf {
        self.files.join("pid")
    }

    /// Identifies its process beyond the number.
    pub fn process_file(&self) -> PathBuf {
        self.files.join("process")
    }

    /// Why the last reload was refused.
    pub fn refusal(&self) -> PathBuf {
        self.files.join("refusal")
    }

    /// The configuration as resolved at the last start or reload.
    pub fn config(&self) -> PathBuf {
        self.files.join("config.toml")
    }

    pub fn log(&self) -> PathBuf {
        self.files.join("log")
    }

    /// The access log, unless the settings name another file.
    pub fn access_log(&self) -> PathBuf {
        self.files.join("access.log")
    }

    pub fn scoreboard(&self) -> PathBuf {
        self.files.join("scoreboard")
    }

    /// The directory as it is opened.
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// Whether no process is seen to hold the name.
    pub fn is_gone(&self) -> bool {
        matches!(self.life(), Ok(Life::Gone))
    }

    /// Whether the instance was ever started.
    pub fn exists(&self) -> bool {
        self.pid().exists()
    }

    /// Whether the instance runs, and as which process.
    ///
    /// # Errors
    /// The pid file exists and cannot be read or asked for its lock.
    pub fn life(&self) -> Result<Life, Error> {
        let path = self.pid();
        let look = || {
            let file = match open_own(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Life::Gone),
                opened => opened?,
            };
            if !is_byte_locked(&file, CLAIMED)? {
                return Ok(Life::Gone);
            }
            // Read the number only after its lock was seen: it is written before that lock is taken.
            if !is_byte_locked(&file, PID_WRITTEN)? {
                return Ok(Life::Starting);
            }
            Ok(io::read_to_string(file.take(MOST_DIGITS))?
                .trim()
                .parse()
                .map_or(Life::Starting, Life::Running))
        };
        look().map_err(Error::file("read the pid file", &path))
    }
}

/// Opens a file that the instance itself wrote: links are not followed, and a FIFO in its place does not block.
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), path, libc::O_NOFOLLOW)
}

/// All instances that have a directory in `state_dir`, by name. A missing state directory has none.
///
/// # Errors
/// The directory cannot be read.
pub fn all(state_dir: &Path) -> Result<Vec<Folder>, Error> {
    let read = || {
        let entries = match std::fs::read_dir(state_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Name>().ok()));
        }
        names.sort();
        Ok(names)
    };
    let names = read().map_err(|error| {
        Error::file("read the state directory", state_dir)(error).or("choose another with --state-dir")
    })?;
    Ok(names.iter().map(|name| Folder::new(state_dir, name)).filter(Folder::exists).collect())
}

/// The running instances, by name. Those that cannot be queried (another user's) are left out.
///
/// # Errors
/// Those of [`all`].
pub fn running(state_dir: &Path) -> Result<Vec<Folder>, Error> {
    let runs = |folder: &Folder| !matches!(folder.life(), Ok(Life::Gone) | Err(_));
    Ok(all(state_dir)?.into_iter().filter(runs).collect())
}

/// The running instance that listens on `port`, for the message about a port in use.
pub fn owner_of_port(state_dir: &Path, port: u16) -> Option<Name> {
    let listens = |folder: &Folder| {
        Scoreboard::open(&folder.scoreboard())
            .is_ok_and(|board| board.header().port.load(Relaxed) == u64::from(port))
    };
    running(state_dir).ok()?.iter().find(|folder| listens(folder)).map(|folder| folder.name().clone())
}
