//! File-system calls that the standard library lacks.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::cerr;

/// Exchanges two existing paths of one file system in one step (`RENAME_EXCHANGE`).
///
/// # Errors
/// Those of renameat2(2): `EINVAL` or `ENOSYS` where the file system or the kernel cannot.
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
