//! File-system calls that the standard library lacks or makes without the needed flags.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cerr;

/// Exchanges two existing paths of one file system atomically (`RENAME_EXCHANGE`).
///
/// # Errors
/// Those of renameat2(2): `EINVAL` or `ENOSYS` if the file system or kernel does not support it.
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    let [a, b] = [CString::new(a.as_os_str().as_bytes())?, CString::new(b.as_os_str().as_bytes())?];
    // SAFETY: both are NUL-terminated strings that outlive the call, which writes to no memory of ours.
    cerr(unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            a.as_ptr(),
            libc::AT_FDCWD,
            b.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    })
    .map(drop)
}

/// Writes all pending data of the file system of `file` to disk (syncfs(2)).
///
/// # Errors
/// `EIO`, `ENOSPC` and the like.
pub fn sync_file_system(file: &File) -> io::Result<()> {
    // SAFETY: takes a descriptor and touches no memory of ours.
    cerr(unsafe { libc::syncfs(file.as_raw_fd()) }).map(drop)
}

/// A new unnamed file in `directory`, for reading and writing (`O_TMPFILE`). If the file system or a sandbox refuses
/// that, a file that is unlinked at once.
///
/// # Errors
/// Those of open(2).
pub fn unnamed(directory: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    if let Ok(file) = options.clone().custom_flags(libc::O_TMPFILE).open(directory) {
        return Ok(file);
    }
    loop {
        let number = NUMBER.fetch_add(1, Relaxed);
        let path = directory.join(format!(".unnamed-{}-{number}", std::process::id()));
        match options.create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened?;
                std::fs::remove_file(path)?;
                return Ok(file);
            }
        }
    }
}

/// Opens a file only if it is regular: opening a FIFO would block. `flags` are added to those of open(2).
///
/// # Errors
/// Those of open(2); `InvalidInput` if it is not a regular file.
pub fn open_regular(options: &mut OpenOptions, path: &Path, flags: i32) -> io::Result<File> {
    let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    match options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(not_regular()),
        // A FIFO that has no reader, a device without a driver; a socket.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENXIO | libc::ENODEV)) => Err(not_regular()),
        Err(error) => Err(error),
    }
}
