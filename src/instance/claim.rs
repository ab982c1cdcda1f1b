//! The claim on a name: the locked pid file of a running instance.
//!
//! The lock is authoritative and the number a hint: a stale, empty or corrupt pid file is simply locked and rewritten.
//! The file is never removed, so two concurrent starts always contend for the same lock, and no start can remove the
//! file of its successor.
//!
//! The locks belong to the open file description (see [`crate::sys::lock`]), so forked children hold them too, and an
//! instance would seem to run as long as one of them lives: workers call [`Claim::close_in_child`].

use std::cell::RefCell;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::origin::Origin;
use super::registry::{CLAIMED, PID_WRITTEN};
use super::{Error, Folder, Life, Name};
use crate::sys::descriptors::keep_at_exec;
use crate::sys::fs::open_regular;
use crate::sys::lock::{lock_record, try_lock_byte};

/// The lock on a name. It ends when this is dropped or the process dies.
#[derive(Debug)]
pub struct Claim {
    folder: Folder,
    files: RefCell<Option<Files>>,
    holder: u32,
}

#[derive(Debug)]
struct Files {
    pid: File,
    /// Never opened a second time by this process: closing that copy would end the lock.
    process: File,
}

impl Claim {
    /// Locks the name and writes this process's pid into the pid file. Missing directories are created, for the user
    /// alone.
    ///
    /// # Errors
    /// [`Error::Held`] if an instance with this name runs; [`Error::File`] if the state cannot be written.
    pub fn acquire(state_dir: &Path, name: &Name) -> Result<Self, Error> {
        let folder = Folder::new(state_dir, name);
        let unwritable = |error| {
            Error::file("write the state of the instance in", folder.dir())(error)
                .or("choose another with --state-dir")
        };
        let file = match lock_in(&folder).map_err(unwritable)? {
            Ok(file) => file,
            Err(pid) => return Err(Error::Held { name: name.clone(), pid }),
        };
        // Files of an earlier run must not be taken for this one's.
        for left in [folder.scoreboard(), folder.refusal()] {
            match std::fs::remove_file(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
                _ => {}
            }
        }
        let holder = std::process::id();
        let process = write_process(&folder.process_file()).map_err(unwritable)?;
        write_pid(&file, holder).map_err(unwritable)?;
        let files = Files { pid: file, process };
        Ok(Self { folder, files: RefCell::new(Some(files)), holder })
    }

    /// The claim of an earlier program of this process: the files that hold its locks, in the order of
    /// [`kept_at_exec`](Self::kept_at_exec).
    pub fn inherit(state_dir: &Path, name: &Name, [pid, process]: [OwnedFd; 2]) -> Self {
        let files = Files { pid: pid.into(), process: process.into() };
        let folder = Folder::new(state_dir, name);
        Self { folder, files: RefCell::new(Some(files)), holder: std::process::id() }
    }

    /// Makes the locks outlast the execution of another program, or not; returns the numbers of their files. These are no
    /// copies: closing a copy would end the lock on `process`.
    ///
    /// # Errors
    /// Those of fcntl(2); `NotFound` in a forked child.
    pub fn kept_at_exec(&self, keep: bool) -> io::Result<[RawFd; 2]> {
        let files = self.files.borrow();
        let files = files.as_ref().ok_or(io::ErrorKind::NotFound)?;
        for file in [&files.pid, &files.process] {
            keep_at_exec(file.as_fd(), keep)?;
        }
        Ok([files.pid.as_raw_fd(), files.process.as_raw_fd()])
    }

    /// The instance's directory.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Closes a forked child's copy of the lock, so that only the parent holds the name.
    pub fn close_in_child(&self) {
        self.files.take();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(files) = self.files.take() else { return };
        // A forked child must not empty its parent's file.
        if self.holder == std::process::id() {
            // Only for tidiness: without the lock the number means nothing.
            let _ = files.pid.set_len(0);
        }
    }
}

/// Creates the directory and locks the pid file in it; the inner error is the process that holds the lock. `--forget`
/// also holds it for a moment, and the directory may be removed in between: then it is created again.
fn lock_in(folder: &Folder) -> io::Result<Result<File, Option<u32>>> {
    const TRIES: usize = 100;
    let mut locked = Ok(Err(None));
    for _ in 0..TRIES {
        DirBuilder::new().recursive(true).mode(0o700).create(folder.dir())?;
        locked = match lock(&folder.pid()) {
            Ok(Some(file)) => return Ok(Ok(file)),
            Ok(None) => Ok(Err(None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            Err(error) => return Err(error),
        };
        match folder.life() {
            Ok(Life::Running(pid)) => return Ok(Err(Some(pid))),
            // It has just begun, or has ended since the attempt.
            Ok(Life::Starting | Life::Gone) => std::thread::sleep(Duration::from_millis(10)),
            Err(_) => return locked,
        }
    }
    locked
}

/// Opens and locks the pid file; `None` when another process has the lock.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        if !try_lock_byte(&file, CLAIMED)? {
            return Ok(None);
        }
        // The directory may have been removed in between: a lock on an unlinked file protects nothing.
        let (ours, named) = (file.metadata()?, std::fs::metadata(path));
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
            return Ok(Some(file));
        }
    }
}

/// Identifies this process in the file `process`, and takes the record lock on it.
fn write_process(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = open_regular(
        options.read(true).write(true).create(true).truncate(false).mode(0o600),
        path,
        libc::O_NOFOLLOW,
    )?;
    // Without the lock the file's contents are still proof.
    let _ = lock_record(&file);
    Origin::own().write(&file)?;
    Ok(file)
}

/// Writes the number, then takes the lock that confirms it, so that no reader takes an old number for this one.
fn write_pid(file: &File, pid: u32) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all_at(format!("{pid}\n").as_bytes(), 0)?;
    try_lock_byte(file, PID_WRITTEN)?;
    Ok(())
}
