//! The source of a deploy: found, opened and named before anything is written.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::refused;
use crate::instance::Error;
use crate::sys::fs::unnamed;

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
    /// A script with this name and text. It is written to an unnamed file in `scratch`.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written.
    pub fn script(name: &str, text: &str, scratch: &Path) -> Result<Self, Error> {
        let write = || {
            let mut file = unnamed(scratch)?;
            file.write_all(text.as_bytes())?;
            file.rewind()?;
            Ok(file)
        };
        let file = write().map_err(Error::file("write to", scratch))?;
        Ok(Self { given: name.into(), real: name.into(), name: name.into(), file, is_dir: false })
    }

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
