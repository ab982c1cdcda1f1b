//! The source of a deploy: found, opened and named before anything is written.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::refused;
use crate::instance::Error;

/// A file or a directory that can be deployed.
#[derive(Debug)]
pub struct Source {
    /// As the user named it.
    pub(super) given: PathBuf,
    /// Without symbolic links.
    pub(super) real: PathBuf,
    /// Its name below the base directory.
    pub(super) name: OsString,
    pub(super) file: File,
    pub(super) is_dir: bool,
}

impl Source {
    /// Opens `given`, following symbolic links.
    ///
    /// # Errors
    /// [`Error::Refused`] if it cannot become a handler; [`Error::File`] if it cannot be opened.
    pub fn open(given: &Path) -> Result<Self, Error> {
        let failed = || Error::file("deploy", given);
        let real = given.canonicalize().map_err(failed())?;
        let kind = fs::metadata(&real).map_err(failed())?;
        if !kind.is_file() && !kind.is_dir() {
            return Err(refused(given, "it is neither a file nor a directory"));
        }
        let name = handler_name(given, &real)?.to_owned();
        // Not before its kind is known: opening a FIFO or a device can have effects.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&real);
        let file = file.map_err(failed())?;
        Ok(Self { given: given.to_owned(), name, file, is_dir: kind.is_dir(), real })
    }
}

/// The file name of the source as given, or as resolved for `.` and the like.
fn handler_name<'p>(given: &'p Path, real: &'p Path) -> Result<&'p OsStr, Error> {
    let name = given.file_name().or(real.file_name()).ok_or_else(|| refused(given, "it has no name"))?;
    if name.as_bytes().starts_with(b".") {
        return Err(refused(given, "names that begin with '.' are never served; rename it"));
    }
    Ok(name)
}
