//! As whom an action on an instance is done: root does it as the owner of the instance's folder.
//!
//! That user can write there what it likes: a link for the log, a number for the process id, a path for the handlers. Root
//! that went by it would empty, signal or write what only root may. So root becomes the user for good, before it looks.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, fchdir, geteuid};

use crate::instance::Folder;
use crate::server::error::Error;
use crate::server::privileges::Account;

/// Another user, to whom the folder of an instance belongs on which root acts.
#[derive(Debug)]
pub struct Owner {
    account: Account,
    dir: PathBuf,
    open: File,
}

impl Owner {
    /// Who is to be become for `folder`: nobody by one who is not root, nor where it is root's or not there.
    ///
    /// # Errors
    /// It is a link or no directory; those of the system.
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

    /// Becomes the owner in the folder, with no way back. The present directory is the one that was looked at, whatever has
    /// its name now, and whether or not its owner can reach it from above.
    ///
    /// # Errors
    /// Those of the system.
    pub fn enter(&self, folder: Folder) -> Result<Folder, Error> {
        fchdir(&self.open)
            .map_err(|error| Error::Failed(format!("cannot enter {}: {error}", self.dir.display())))?;
        self.become_for_good()?;
        Ok(folder.entered())
    }

    /// Is the owner in the folder until [`Self::as_root`], as far as files go.
    ///
    /// # Errors
    /// Those of the system.
    pub fn enter_for_now(&self, folder: Folder) -> Result<Folder, Error> {
        fchdir(&self.open)
            .map_err(|error| Error::Failed(format!("cannot enter {}: {error}", self.dir.display())))?;
        self.account.become_for_now()?;
        Ok(folder.entered())
    }

    /// Does `work` as root and is the owner again, after [`Self::enter_for_now`].
    ///
    /// # Errors
    /// Those of `work`, and of the system.
    pub fn as_root<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.account.as_root(work)
    }

    /// Becomes the owner where one is, with no way back.
    ///
    /// # Errors
    /// Those of the system.
    pub fn become_for_good(&self) -> Result<(), Error> {
        self.account.become_for_good()
    }

    /// Says as whom it was tried: who typed it is root, and may wonder.
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::Failed(text) => Error::Failed(format!(
                "{text} (root does this as the owner of {}, the user {})",
                self.dir.display(),
                self.account.name()
            )),
            usage @ Error::Usage(_) => usage,
        }
    }
}

/// Whether nobody but root can have made the folder. A group that its owner could choose, by way of a directory with
/// set-group-id, need not be one of the owner's.
fn made_by_root(folder: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let above = folder.parent().and_then(|above| above.metadata().ok());
    above.is_some_and(|above| above.uid() == 0 && above.mode() & OTHERS_WRITE == 0)
}
