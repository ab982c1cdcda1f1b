//! A mapped file that somebody truncates while it is in use (`truncate -s 0 *`, a careless log rotation): touching it is SIGBUS
//! then, which would end every process that has it mapped. One mapping per process tree is guarded: the handler of that
//! signal makes the file as long as it was, with zeroes in it, and the access that failed is done again.
//!
//! A copy in sealed memory could not be truncated, but readers need a file in the folder; so what can be lost are the
//! contents, and the owner writes anew what must stand there.

use std::fs::File;
use std::io;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::map::SharedMap;

static START: AtomicUsize = AtomicUsize::new(0);
static LEN: AtomicUsize = AtomicUsize::new(0);
static FILE: AtomicI32 = AtomicI32::new(-1);
/// The process that puts things right, which is woken up by SIGCHLD.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Guards `map`, a mapping of the whole of `file` that is never unmapped, in this process and in those that it forks (which
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

/// Has SIGBUS handled, if there is something to guard.
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
            // Another fault, or no room on the disk: the access is done again and ends the process.
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
    // With its blocks, as a hole would be SIGBUS again when the disk is full; without where a file system has no such call.
    // SAFETY: plain system calls on a descriptor.
    unsafe {
        libc::fallocate(file, 0, 0, len as libc::off_t) == 0
            || (*libc::__errno_location() == libc::EOPNOTSUPP
                && libc::ftruncate(file, len as libc::off_t) == 0)
    }
}
