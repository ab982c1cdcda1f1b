//! Guards a mapped file against truncation while it is in use (`truncate -s 0 *`, a careless log rotation), after which
//! any access raises SIGBUS and would end every process that has it mapped. One mapping per process tree is guarded:
//! the signal's handler extends the file to its length again, filled with zeroes, and the access is repeated.
//!
//! A copy in sealed memory could not be truncated, but readers need a file in the directory. So the contents can be
//! lost, and the owner must rewrite them.

use std::fs::File;
use std::io;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::map::SharedMap;

static START: AtomicUsize = AtomicUsize::new(0);
static LEN: AtomicUsize = AtomicUsize::new(0);
static FILE: AtomicI32 = AtomicI32::new(-1);
/// The process that repairs the contents; SIGCHLD wakes it up.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Guards `map`, a mapping of the whole `file` that is never unmapped, in this process and its forked children (which
/// call [`arm`] again if they reset their signals).
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn keep_whole(map: &'static SharedMap, file: File) -> io::Result<()> {
    let (start, len) = map.range();
    FILE.store(file.into_raw_fd(), SeqCst);
    OWNER.store(std::process::id().cast_signed(), SeqCst);
    LEN.store(len, SeqCst);
    START.store(start, SeqCst);
    arm()
}

/// Installs the handler of SIGBUS, if a mapping is guarded.
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn arm() -> io::Result<()> {
    if FILE.load(SeqCst) < 0 {
        return Ok(());
    }
    let action = SigAction::new(SigHandler::SigAction(on_bus_error), SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler makes system calls only, and lives as long as the program.
    unsafe { sigaction(Signal::SIGBUS, &action)? };
    Ok(())
}

extern "C" fn on_bus_error(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    let (start, len) = (START.load(SeqCst), LEN.load(SeqCst));
    // SAFETY: the kernel passes a valid siginfo of SIGBUS; all calls are async-signal-safe, and errno is put back.
    unsafe {
        let errno = *libc::__errno_location();
        let at = (*info).si_addr() as usize;
        if !(start..start + len).contains(&at) || !lengthen(FILE.load(SeqCst), len) {
            // Another fault, or a full disk: the repeated access ends the process.
            libc::signal(signal, libc::SIG_DFL);
        } else if libc::getpid() != OWNER.load(SeqCst) && libc::getppid() == OWNER.load(SeqCst) {
            libc::kill(libc::getppid(), libc::SIGCHLD);
        }
        *libc::__errno_location() = errno;
    }
}

/// # Safety
/// Async-signal-safe; `file` is open for writing.
unsafe fn lengthen(file: i32, len: usize) -> bool {
    // Allocates the blocks, since a hole would raise SIGBUS again on a full disk; without them if the file system lacks
    // the call. SAFETY: plain system calls on a descriptor.
    unsafe {
        libc::fallocate(file, 0, 0, len as libc::off_t) == 0
            || (*libc::__errno_location() == libc::EOPNOTSUPP
                && libc::ftruncate(file, len as libc::off_t) == 0)
    }
}
