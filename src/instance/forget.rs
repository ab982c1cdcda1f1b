//! Removes a stopped instance's directory. It is locked as by a start, moved to a name that no instance can have, and
//! emptied there, so that a concurrent start creates a directory of its own.
//!
//! All this uses descriptors of the directory and its parent, so that no link or rename can redirect it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::claim::lock;
use super::{Error, Folder, Life};

/// A locked directory, from which no instance can start.
#[derive(Debug)]
pub struct Abandoned {
    folder: Folder,
    dir: File,
    above: File,
    _lock: File,
}

impl Abandoned {
    /// Locks the name of a stopped instance.
    ///
    /// # Errors
    /// It runs, or was never started; those of the system.
    pub fn lock(folder: &Folder) -> Result<Self, Error> {
        let failed = |error| Error::file("lock the folder", folder.dir())(error);
        if !folder.exists() {
            return Err(Error::Refused(format!(
                "there is no instance {} ({})",
                folder.name(),
                folder.dir().display()
            )));
        }
        let Some(lock) = lock(&folder.pid()).map_err(failed)? else {
            let pid = if let Ok(Life::Running(pid)) = folder.life() {
                format!(" (pid {pid})")
            } else {
                String::new()
            };
            let name = folder.name();
            return Err(Error::Refused(format!(
                "instance {name} is running{pid}; stop it first: `caffeine -n {name} --stop`"
            )));
        };
        let open = || {
            let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
            let dir = OpenOptions::new().read(true).custom_flags(flags).open(folder.files())?;
            let above = openat(&dir, "..", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
            io::Result::Ok((dir, File::from(above)))
        };
        let (dir, above) = open().map_err(failed)?;
        Ok(Self { folder: folder.clone(), dir, above, _lock: lock })
    }

    /// Whether only root can change the parent directory.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_in_roots(&self) -> Result<bool, Error> {
        const OTHERS_WRITE: u32 = 0o022;
        let above = self.above.metadata().map_err(self.failed())?;
        Ok(above.uid() == 0 && above.mode() & OTHERS_WRITE == 0)
    }

    /// Moves the directory to a name that no instance can have.
    ///
    /// # Errors
    /// Those of the system; another directory has the name now.
    pub fn set_aside(&self) -> Result<(), Error> {
        let name = self.folder.name().as_str();
        let move_away = || {
            let (found, own) =
                (fstatat(&self.above, name, AtFlags::AT_SYMLINK_NOFOLLOW)?, self.dir.metadata()?);
            if (found.st_dev, found.st_ino) != (own.dev(), own.ino()) {
                return Err(io::Error::other("another directory has that name now"));
            }
            Ok(renameat(&self.above, name, &self.above, self.aside().as_str())?)
        };
        move_away().map_err(self.failed())
    }

    /// Removes everything in it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn empty(&self) -> Result<(), Error> {
        empty(&self.dir).map_err(self.failed())
    }

    /// Removes the folder, which is empty and set aside.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self) -> Result<(), Error> {
        let removed = unlinkat(&self.above, self.aside().as_str(), UnlinkatFlags::RemoveDir);
        removed.map_err(|error| self.failed()(error.into()))
    }

    fn aside(&self) -> String {
        format!(".{}.forgotten-{}", self.folder.name(), std::process::id())
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error {
        Error::file("remove the folder", self.folder.dir())
    }
}

/// Removes everything in a directory. Links are removed, not followed.
fn empty(dir: impl AsFd) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mut listed = Dir::openat(&dir, ".", flags, Mode::empty())?;
    for entry in listed.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_folder = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            None => unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir) == Err(Errno::EISDIR),
        };
        if is_folder {
            empty(openat(&dir, name, flags, Mode::empty())?)?;
            unlinkat(&dir, name, UnlinkatFlags::RemoveDir)?;
        } else {
            match unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
