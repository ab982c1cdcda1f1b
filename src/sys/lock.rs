//! Three kinds of locks.
//!
//! Open-file-description locks on single bytes of a file (fcntl_locking(2)) belong to the open file description, not to
//! the process: they survive `fork`, where the child holds them as well, and end when the last descriptor is closed.
//! `F_OFD_GETLK` queries them without taking them. Record locks (the older kind) belong to a process, and the kernel
//! tells which. flock(2) is for a directory.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};

fn lock(kind: i32, at: i64) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: at, l_len: 1, l_pid: 0 }
}

/// Takes the write lock on the byte at offset `at` (which need not exist); `false` when another description
/// holds it. The file must be open for writing.
///
/// # Errors
/// Those of `fcntl(F_OFD_SETLK)`: the file system knows no locks, for instance.
pub fn try_lock_byte(file: &File, at: i64) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, at))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Shares the byte at offset `at` with others that share it; `false` when another description has its write lock. The
/// file must be open for reading.
///
/// # Errors
/// Those of `fcntl(F_OFD_SETLK)`.
pub fn share_byte(file: &File, at: i64) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_RDLCK, at))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Unlocks the byte at offset `at`.
///
/// # Errors
/// Those of `fcntl(F_OFD_SETLK)`.
pub fn unlock_byte(file: &File, at: i64) -> io::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK, at)))?;
    Ok(())
}

/// Whether another open file description holds a lock on the byte at offset `at`.
///
/// # Errors
/// Those of `fcntl(F_OFD_GETLK)`.
pub fn is_byte_locked(file: &File, at: i64) -> io::Result<bool> {
    let mut lock = lock(libc::F_WRLCK, at);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(lock.l_type != libc::F_UNLCK as i16)
}

/// Takes the record lock on the first byte of the file for this process. It ends with the process, and also as soon as the
/// process closes *any* descriptor of the file. The file must be open for writing.
///
/// # Errors
/// Those of `fcntl(F_SETLK)`: `EAGAIN` when another process holds it.
pub fn lock_record(file: &File) -> io::Result<()> {
    Ok(fcntl(file, FcntlArg::F_SETLK(&lock(libc::F_WRLCK, 0))).map(drop)?)
}

/// The process that holds the record lock on the first byte of the file, by its number in the caller's pid namespace: 0 when
/// it has none there, negative when it runs on another machine. `None` without a lock, or if it is the caller's own.
///
/// # Errors
/// Those of `fcntl(F_GETLK)`.
pub fn record_holder(file: &File) -> io::Result<Option<i32>> {
    let mut lock = lock(libc::F_WRLCK, 0);
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((lock.l_type != libc::F_UNLCK as i16).then_some(lock.l_pid))
}

/// Waits for the exclusive flock(2) of a file or directory; dropping it unlocks.
///
/// # Errors
/// Those of `flock`.
pub fn flock_exclusive(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error.into())
}
