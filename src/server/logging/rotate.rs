//! `--log-size`: a log file that has grown to it is renamed to FILE.1, in place of an older one, and a new one begins. Each
//! process looks before it writes, so none has to tell the others: one renames, and the others find that the path leads to another
//! file than theirs.

use std::fs::{File, rename};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::fcntl::{Flock, FlockArg};

use crate::sys::process;

/// In bytes; 0 means no limit.
static MOST: AtomicU64 = AtomicU64::new(0);

/// Sets the limit for this process and its future children; `None` means none.
pub fn limit_size(bytes: Option<u64>) {
    MOST.store(bytes.unwrap_or(0), Relaxed);
}

/// Where the lines before those of the log `path` are.
pub fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Before a write to `file`, which is the log at `path` or was: begins a new file under the same descriptor if this one is
/// full. Where none can be made, the file is emptied.
///
/// # Errors
/// The reason, after the file was emptied.
pub(super) fn if_full(file: &File, path: &Path) -> io::Result<()> {
    let most = MOST.load(Relaxed);
    if most == 0 || file.metadata()?.len() < most {
        return Ok(());
    }
    match begin_another(file, path) {
        Err(error) if is_lack(&error) => Ok(()), // at the next write
        Err(error) => file.set_len(0).and(Err(error)),
        Ok(()) => Ok(()),
    }
}

fn begin_another(file: &File, path: &Path) -> io::Result<()> {
    let own = identity(file)?;
    let at_path = super::open(path)?;
    if identity(&at_path)? != own {
        return process::replace(file.as_fd(), at_path.into());
    }
    // Opened just now, because the lock of an inherited descriptor is the parent's too.
    let Ok(_locked) = Flock::lock(at_path, FlockArg::LockExclusiveNonblock) else { return Ok(()) };
    let at_path = super::open(path)?;
    if identity(&at_path)? == own {
        // A link leads to where the log is kept.
        let real = path.canonicalize()?;
        rename(&real, older(&real))?;
    }
    process::replace(file.as_fd(), super::open(path)?.into())
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|data| (data.dev(), data.ino()))
}

/// No descriptor or memory for now.
fn is_lack(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn processes_share_a_rotation_and_keep_what_they_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (mut one, mut other) = (super::super::open(&path).unwrap(), super::super::open(&path).unwrap());
        one.write_all(b"first\n").unwrap();
        begin_another(&one, &path).unwrap();
        other.write_all(b"late\n").unwrap();
        one.write_all(b"second\n").unwrap();
        begin_another(&other, &path).unwrap();
        other.write_all(b"third\n").unwrap();
        assert_eq!((&*text(&older(&path)), &*text(&path)), ("first\nlate\n", "second\nthird\n"));
        begin_another(&other, &path).unwrap();
        assert_eq!((&*text(&older(&path)), &*text(&path)), ("second\nthird\n", ""));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_leads_to_where_the_log_is_rotated() {
        let directory = tempfile::tempdir().unwrap();
        let [path, target] = ["log", "elsewhere"].map(|name| directory.path().join(name));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let mut file = super::super::open(&path).unwrap();
        file.write_all(b"first\n").unwrap();
        begin_another(&file, &path).unwrap();
        file.write_all(b"second\n").unwrap();
        assert_eq!((&*text(&older(&target)), &*text(&path)), ("first\n", "second\n"));
        assert!(path.is_symlink());
    }

    #[test]
    fn while_another_process_renames_the_old_file_stays_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let file = super::super::open(&path).unwrap();
        let _locked =
            Flock::lock(super::super::open(&path).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
        begin_another(&file, &path).unwrap();
        assert!(!older(&path).exists());
    }
}
