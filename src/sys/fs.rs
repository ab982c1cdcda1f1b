//! File-system calls that the standard library lacks or makes without the needed flags.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;

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

/// Opens a regular file or a directory below `root`, by a relative path; a link that leads out of `root` is refused. What
/// else there may be (a FIFO, a device) is never opened, so it has no effect and takes no time.
///
/// # Errors
/// Those of openat2(2): `EXDEV` for what is outside; `InvalidInput` for what is neither a file nor a directory.
pub fn open_beneath(root: &File, path: &Path) -> io::Result<File> {
    let found = match find_beneath(root, path) {
        Err(error) if super::is_refused(&error) => find_and_check(root, path)?,
        found => found?,
    };
    let kind = found.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(by_descriptor(&found))
}

/// A descriptor for the place only (`O_PATH`), with openat2(2).
fn find_beneath(root: &File, path: &Path) -> io::Result<File> {
    /// `EAGAIN`: something above was renamed meanwhile.
    const ATTEMPTS: usize = 100;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    let mut found = Err(Errno::EAGAIN);
    for _ in 0..ATTEMPTS {
        found = openat2(root, path, how);
        if !matches!(found, Err(Errno::EAGAIN)) {
            break;
        }
    }
    Ok(found?.into())
}

/// The same for a sandbox without openat2(2): follows all links, then asks where it has got to. So an absolute link back
/// inside is no obstacle here.
fn find_and_check(root: &File, path: &Path) -> io::Result<File> {
    let found: File = openat(root, path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?.into();
    let (base, place) =
        (std::fs::read_link(by_descriptor(root))?, std::fs::read_link(by_descriptor(&found))?);
    if place.starts_with(base) { Ok(found) } else { Err(io::Error::from_raw_os_error(libc::EXDEV)) }
}

fn by_descriptor(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sandbox::{Rule, refuse_in_this_thread};
    use std::os::unix::fs::symlink;

    fn links_that_leave_the_root_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir(home.path().join("root-too")).unwrap();
        for name in ["secret", "root-too/file", "root/file", "root/sub/file"] {
            std::fs::write(home.path().join(name), name).unwrap();
        }
        for (target, link) in [
            ("sub/file", "inside"),
            ("../file", "sub/up"),
            ("../secret", "out"),
            ("../root-too/file", "beside"),
            ("/etc/passwd", "absolute"),
            ("/", "all"),
            ("loop", "loop"),
            ("nowhere", "broken"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        nix::unistd::mkfifo(&root.join("fifo"), Mode::S_IRWXU).unwrap();
        let root = File::open(root).unwrap();
        let open = |path: &str| open_beneath(&root, Path::new(path));
        for (path, text) in [
            ("file", "root/file"),
            ("sub/file", "root/sub/file"),
            ("inside", "root/sub/file"),
            ("sub/up", "root/file"),
        ] {
            assert_eq!(io::read_to_string(open(path).unwrap()).unwrap(), text, "{path}");
        }
        assert!(
            open(".").unwrap().metadata().unwrap().is_dir()
                && open("sub").unwrap().metadata().unwrap().is_dir()
        );
        for path in
            ["out", "beside", "absolute", "all/etc/passwd", "../secret", "sub/../../secret", "/etc/passwd"]
        {
            assert_eq!(open(path).unwrap_err().raw_os_error(), Some(libc::EXDEV), "{path}");
        }
        assert_eq!(open("fifo").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(open("broken").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(open("loop").unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn a_file_below_a_root_is_opened_and_nothing_else() {
        links_that_leave_the_root_are_refused();
    }

    #[test]
    fn a_sandbox_without_openat2_changes_nothing() {
        for errno in [libc::ENOSYS, libc::EPERM] {
            let thread = move || {
                refuse_in_this_thread(&[Rule::call(libc::SYS_openat2)], errno).unwrap();
                links_that_leave_the_root_are_refused();
            };
            std::thread::spawn(thread).join().unwrap();
        }
    }
}
