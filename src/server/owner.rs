//! The user for an action on an instance: root acts as the owner of the instance's directory.
//!
//! The owner can put anything there: a link as the log, any pid, any path of handlers. If root trusted these, it would
//! truncate, signal or write what only root may. So root switches to the owner before it reads anything.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, fchdir, geteuid};

use crate::instance::Folder;
use crate::server::error::Error;
use crate::server::privileges::Account;

/// The user who owns an instance's directory, when root acts on it.
#[derive(Debug)]
pub struct Owner {
    account: Account,
    dir: PathBuf,
    open: File,
}

impl Owner {
    /// The user to switch to. `None` unless we are root and the directory exists and belongs to another user.
    ///
    /// # Errors
    /// It is a symbolic link or not a directory; those of the system.
    pub fn of(folder: &Folder) -> Result<Option<Self>, Error> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let dir = folder.dir();
        let failed =
            |error: io::Error| Error::Failed(format!("cannot open the folder {}: {error}", dir.display()));
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let open = match OpenOptions::new().read(true).custom_flags(flags).open(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let found = open.metadata().map_err(failed)?;
        if found.uid() == 0 {
            return Ok(None);
        }
        let group = made_by_root(dir).then(|| Gid::from_raw(found.gid()));
        let account = Account::numbered(Uid::from_raw(found.uid()), group)?;
        Ok(Some(Self { account, dir: dir.to_owned(), open }))
    }

    /// Changes to the directory and switches to the owner permanently. The directory is the one that was checked,
    /// whatever its name refers to now, and even if its owner cannot reach it from above.
    ///
    /// # Errors
    /// Those of the system.
    pub fn enter(&self, folder: Folder) -> Result<Folder, Error> {
        fchdir(&self.open)
            .map_err(|error| Error::Failed(format!("cannot enter {}: {error}", self.dir.display())))?;
        self.become_for_good()?;
        Ok(folder.entered())
    }

    /// Changes to the directory and acts as its owner for file access, until [`Self::as_root`].
    ///
    /// # Errors
    /// Those of the system.
    pub fn enter_for_now(&self, folder: Folder) -> Result<Folder, Error> {
        fchdir(&self.open)
            .map_err(|error| Error::Failed(format!("cannot enter {}: {error}", self.dir.display())))?;
        self.account.become_for_now()?;
        Ok(folder.entered())
    }

    /// Runs `work` as root, then acts as the owner again, after [`Self::enter_for_now`].
    ///
    /// # Errors
    /// Those of `work`, and of the system.
    pub fn as_root<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.account.as_root(work)
    }

    /// Switches to the owner permanently.
    ///
    /// # Errors
    /// Those of the system.
    pub fn become_for_good(&self) -> Result<(), Error> {
        self.account.become_for_good()
    }

    /// Adds the user that root acted as.
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::Failed(text) => Error::Failed(format!(
                "{text} (root acts as user {1}, who owns {0})",
                self.dir.display(),
                self.account.name()
            )),
            usage @ Error::Usage(_) => usage,
        }
    }
}

/// Whether only root can have created the directory. Otherwise its group may come from a set-group-id parent, and need
/// not be one of the owner's groups.
fn made_by_root(folder: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let above = folder.parent().and_then(|above| above.metadata().ok());
    above.is_some_and(|above| above.uid() == 0 && above.mode() & OTHERS_WRITE == 0)
}
