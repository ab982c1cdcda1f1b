//! The first moments of a handler, on the spawner's stack in the caller's memory: system calls only.

use std::ffi::{c_char, c_void};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering::Release};

use super::Limit;

/// What the child finds at the address it is given. Raw values only: it must not run any drop or check.
pub(super) struct Task {
    pub program: *const c_char,
    pub arguments: *const *const c_char,
    pub environment: *const *const c_char,
    pub directory: *const c_char,
    pub stdin: RawFd,
    pub stdout: RawFd,
    pub stderr: RawFd,
    pub pid: *const AtomicU64,
    pub alarm_s: u32,
    pub limits: *const Limit,
    pub limit_count: usize,
    /// Signals are blocked, and handlers are still those of the caller.
    pub reset_handlers: bool,
    /// The signal mask to set.
    pub mask: Option<u64>,
    /// Why the program could not be executed.
    pub error: i32,
}

/// Becomes the program of a [`Task`].
pub(super) extern "C" fn begin(task: *mut c_void) -> ! {
    let task = task.cast::<Task>();
    // SAFETY: `task` is valid and ours alone until execve or _exit (CLONE_VFORK); all calls are async-signal-safe.
    unsafe {
        if (*task).reset_handlers {
            reset_handlers();
        }
        let ok = libc::setpgid(0, 0) == 0
            && libc::dup2((*task).stdout, 1) >= 0
            && ((*task).stdin < 0 || libc::dup2((*task).stdin, 0) >= 0)
            && ((*task).stderr < 0 || libc::dup2((*task).stderr, 2) >= 0)
            && libc::chdir((*task).directory) == 0
            && set_limits((*task).limits, (*task).limit_count)
            && set_mask((*task).mask) == 0;
        if ok {
            if !(*task).pid.is_null() {
                (*(*task).pid).store(libc::getpid() as u64, Release);
            }
            if (*task).alarm_s > 0 {
                libc::alarm((*task).alarm_s);
            }
            libc::execve((*task).program, (*task).arguments, (*task).environment);
        }
        (&raw mut (*task).error).write_volatile(*libc::__errno_location());
        libc::_exit(127)
    }
}

/// # Safety
/// `limits` points to `count` of them. Async-signal-safe; for [`begin`].
unsafe fn set_limits(limits: *const Limit, count: usize) -> bool {
    let mut at = 0;
    while at < count {
        // SAFETY: inside the caller's slice; the kernel only reads.
        let set = unsafe {
            let limit = limits.add(at);
            libc::setrlimit((*limit).resource, &raw const (*limit).limit)
        };
        if set != 0 {
            return false;
        }
        at += 1;
    }
    true
}

/// # Safety
/// Async-signal-safe; for [`begin`].
unsafe fn set_mask(mask: Option<u64>) -> i32 {
    let Some(mask) = mask else { return 0 };
    // SAFETY: the kernel reads 8 bytes, its signal set, from `mask`.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            std::ptr::null_mut::<u64>(),
            size_of::<u64>(),
        ) as i32
    }
}

/// What `CLONE_CLEAR_SIGHAND` does: every signal that has a handler gets its default action; what is ignored stays so. The
/// caller's handlers are untouched, since the table is copied.
///
/// # Safety
/// All signals must be blocked. Async-signal-safe; for [`begin`].
unsafe fn reset_handlers() {
    /// `struct sigaction` as the kernel has it: handler, flags, restorer, mask; all zero is `SIG_DFL`.
    const DEFAULT: [u64; 4] = [0; 4];
    let mut signal = 1;
    while signal <= 64 {
        let mut before = DEFAULT;
        // SAFETY: the kernel reads one such struct and writes another. KILL and STOP fail, as they should.
        unsafe {
            let (action, size) = (libc::SYS_rt_sigaction, size_of::<u64>());
            libc::syscall(action, signal, DEFAULT.as_ptr(), before.as_mut_ptr(), size);
            if before[0] == libc::SIG_IGN as u64 {
                libc::syscall(action, signal, before.as_ptr(), std::ptr::null_mut::<u64>(), size);
            }
        }
        signal += 1;
    }
}
