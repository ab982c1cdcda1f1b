//! Creates a child that starts in [`child::begin`]: with clone3(2), or if that is refused with
//! clone(2).
//!
//! Container profiles before 2021 answer clone3 with `EPERM`, later ones with `ENOSYS`, because they cannot inspect its
//! flags; a kernel that lacks a flag answers `EINVAL`. clone() has no `CLONE_CLEAR_SIGHAND`, so all signals are blocked
//! around it until the child has reset the handlers itself: 64 more system calls, about 5 microseconds.

use std::ffi::c_void;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::child::{self, Task};
use crate::sys::map::Pages;

/// `CLONE_CLEAR_SIGHAND` of clone3(2), Linux 5.5: libc's constant has the wrong type for now.
const CLEAR_SIGHAND: u64 = 1 << 32;
/// The child shares the memory, and the caller sleeps until it has left that memory.
const SHARED: u64 = libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64;
const PIDFD: u64 = libc::CLONE_PIDFD as u64;

/// The call that creates the child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// clone3, unless it is refused.
    #[default]
    Clone3,
    /// clone, which worked where clone3 was refused.
    Clone,
}

impl Way {
    /// Creates a child that executes `task`, and returns when it has left this memory: its pid, and its pidfd if asked
    /// for.
    ///
    /// # Errors
    /// The errno.
    pub fn start(
        &mut self,
        stack: &mut Pages,
        task: &mut Task,
        with_pidfd: bool,
    ) -> Result<(i32, Option<OwnedFd>), i32> {
        let mut pidfd: RawFd = -1;
        let wanted = with_pidfd.then_some(&raw mut pidfd);
        let mut pid = -libc::ENOSYS as isize;
        if *self == Self::Clone3 {
            pid = by_clone3(stack, task, wanted);
        }
        if matches!(i32::try_from(-pid), Ok(libc::ENOSYS | libc::EPERM | libc::EINVAL)) {
            pid = by_clone(stack, task, wanted);
            if pid > 0 {
                *self = Self::Clone;
            }
        }
        if pid < 0 {
            return Err(-pid as i32);
        }
        // SAFETY: the kernel put a new descriptor here, because CLONE_PIDFD was asked for.
        let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        Ok((pid as i32, pidfd))
    }
}

/// The pid or `-errno`.
fn by_clone3(stack: &mut Pages, task: &mut Task, pidfd: Option<*mut RawFd>) -> isize {
    let args = CloneArgs {
        flags: SHARED | CLEAR_SIGHAND | pidfd.map_or(0, |_| PIDFD),
        pidfd: pidfd.map_or(0, |place| place as u64),
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: stack.len() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: see the head of `spawn`; the stack is page-aligned and not in use (&mut), and `task` with all that it
    // points to lives until the call returns, which is after the child left this memory.
    unsafe { clone3_call(&raw const args, child::begin, (&raw mut *task).cast()) }
}

/// The pid or `-errno`.
fn by_clone(stack: &mut Pages, task: &mut Task, pidfd: Option<*mut RawFd>) -> isize {
    let flags = SHARED | libc::SIGCHLD as u64 | pidfd.map_or(0, |_| PIDFD);
    let before = swap_mask(u64::MAX);
    task.reset_handlers = true;
    task.mask = task.mask.or(Some(before));
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: as above; no handler of ours runs in the child, since all signals are blocked until it has reset them.
    let pid = unsafe {
        clone_call(flags, top, pidfd.unwrap_or(std::ptr::null_mut()), child::begin, (&raw mut *task).cast())
    };
    swap_mask(before);
    pid
}

/// Sets the mask of the calling thread, libc's own signals included, and returns the one before.
fn swap_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: the kernel reads 8 bytes, its signal set, and writes as many.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        )
    };
    before
}

/// `struct clone_args` of clone3(2), version 0 to 2.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The child's entry point.
type Entry = extern "C" fn(*mut c_void) -> !;

/// clone3 whose child calls `entry(argument)` on the stack of `args`. Returns the pid or `-errno`, in the parent only.
///
/// # Safety
/// `args` must name a stack that is large enough for `entry`, 16-byte aligned at its end, and free to use.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3_call(args: *const CloneArgs, entry: Entry, argument: *mut c_void) -> isize {
    let returned: isize;
    // SAFETY: the parent sees a system call with its usual clobbers. The child has a fresh stack pointer and calls
    // `entry`, which does not return; `entry` and `argument` are in registers that the kernel preserves.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r8",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => returned,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r8") entry,
            in("r9") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    returned
}

/// clone whose child calls `entry(argument)` on the stack that ends at `top`. The kernel writes the pidfd to `pidfd` if `flags`
/// ask for it. Returns the pid or `-errno`, in the parent only.
///
/// # Safety
/// The stack must be large enough for `entry`, 16-byte aligned at `top`, and free to use; `pidfd` writable if it is used.
#[cfg(target_arch = "x86_64")]
unsafe fn clone_call(
    flags: u64,
    top: *mut u8,
    pidfd: *mut RawFd,
    entry: Entry,
    argument: *mut c_void,
) -> isize {
    let returned: isize;
    // SAFETY: as above. The order is flags, stack, parent_tid (the pidfd's place), child_tid, tls.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r9",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => returned,
            in("rdi") flags,
            in("rsi") top,
            in("rdx") pidfd,
            in("r10") 0_usize,
            in("r8") 0_usize,
            in("r9") entry,
            in("r12") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    returned
}

/// As above, for aarch64.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3_call(args: *const CloneArgs, entry: Entry, argument: *mut c_void) -> isize {
    let returned: isize;
    // SAFETY: as above; x0 is the result, x9 and x10 are preserved by the kernel.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x10",
            "blr x9",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") args => returned,
            in("x1") size_of::<CloneArgs>(),
            in("x9") entry,
            in("x10") argument,
            lateout("x30") _,
        );
    }
    returned
}

/// As above, for aarch64, where tls comes before child_tid.
#[cfg(target_arch = "aarch64")]
unsafe fn clone_call(
    flags: u64,
    top: *mut u8,
    pidfd: *mut RawFd,
    entry: Entry,
    argument: *mut c_void,
) -> isize {
    let returned: isize;
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x10",
            "blr x9",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone,
            inlateout("x0") flags => returned,
            in("x1") top,
            in("x2") pidfd,
            in("x3") 0_usize,
            in("x4") 0_usize,
            in("x9") entry,
            in("x10") argument,
            lateout("x30") _,
        );
    }
    returned
}
