//! Starts a handler: `clone3` with a shared address space, then `execve`, and nothing else on the way.
//!
//! # Why this is sound
//! `vfork()` cannot be called from Rust: it returns twice into the same frame. Here the child never returns: it
//! begins in `child`, a function of its own on a stack of its own, and ends in `execve` or `_exit`.
//! - `CLONE_VM | CLONE_VFORK`: the calling thread sleeps until the child has left the shared memory, so everything
//!   that the child reads (borrowed in [`Order`]) outlives it, and its one write (the error) is ordered before our read.
//! - `CLONE_CLEAR_SIGHAND`: handlers are reset, so none of ours can run in the child.
//! - The child makes system calls only; no allocation, no lock, no destructor, no panic.
//! - The descriptor table is copied, not shared: `dup2` in the child changes nothing here.
//!
//! clone(2), execve(2); measured in the project's notes: 5 system calls with three descriptors, 4 to 6 here, one of which
//! gives the child a process group of its own: a script that ends with `kill 0` must not take its worker along.

use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering::Release};

use nix::sys::resource::Resource;

use super::cstrings::CStrings;
use super::map::Pages;

/// Room for [`child`], which needs a few hundred bytes (more in unoptimised builds).
const STACK_BYTES: usize = 32 * 1024;
/// `CLONE_CLEAR_SIGHAND` of clone3(2), Linux 5.5: libc's constant has the wrong type for now.
const CLEAR_SIGHAND: u64 = 1 << 32;

/// What is to be started. The new process has descriptors 0 (`stdin`, or the caller's 0), 1 (`stdout`), 2 (`stderr`, or the
/// caller's), and those of the caller that are not close-on-exec.
#[derive(Debug)]
pub struct Order<'a> {
    /// Absolute path of the program.
    pub program: &'a CStr,
    /// Its arguments, the name first.
    pub arguments: &'a mut CStrings,
    /// Its environment.
    pub environment: &'a mut CStrings,
    /// Its working directory.
    pub directory: &'a CStr,
    /// Its standard input; `None` leaves the caller's.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Its standard output.
    pub stdout: BorrowedFd<'a>,
    /// Its standard error; `None` leaves the caller's.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Where the new process writes its id before it executes the program.
    pub pid: Option<&'a AtomicU64>,
    /// SIGALRM after so many seconds; 0 is never.
    pub alarm_s: u32,
    /// Its resource limits, where the caller's are not the right ones.
    pub limits: &'a [Limit],
    /// Set an empty signal mask (a caller whose mask is empty saves the call).
    pub clear_mask: bool,
}

/// A resource limit, as setrlimit(2) takes it.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    resource: libc::__rlimit_resource_t,
    limit: libc::rlimit,
}

impl Limit {
    /// `soft` and `hard` for `resource`, in its units.
    pub fn new(resource: Resource, soft: u64, hard: u64) -> Self {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        Self { resource: resource as libc::__rlimit_resource_t, limit }
    }
}

/// Why nothing was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// No process could be made.
    #[error("cannot make a process: {}", io::Error::from_raw_os_error(*.0))]
    Clone(i32),
    /// The process was there, but could not become the program.
    #[error("cannot execute: {}", io::Error::from_raw_os_error(*.0))]
    Exec(i32),
}

/// A started process. The kernel reaps it when the caller's SIGCHLD says so (`SA_NOCLDWAIT`).
#[derive(Debug)]
pub struct Started {
    /// Its process id.
    pub pid: i32,
    /// A descriptor that becomes readable when it ends, if asked for.
    pub pidfd: Option<OwnedFd>,
}

/// What the child finds at the address it is given. Raw values only: it must not run any drop or check.
struct Task {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    directory: *const c_char,
    stdin: RawFd,
    stdout: RawFd,
    stderr: RawFd,
    pid: *const AtomicU64,
    alarm_s: u32,
    limits: *const Limit,
    limit_count: usize,
    clear_mask: bool,
    error: i32,
}

/// Starts processes, one at a time. Each thread that launches has its own.
#[derive(Debug)]
pub struct Spawner {
    stack: Pages,
}

impl Spawner {
    /// One with a stack of its own.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> io::Result<Self> {
        Ok(Self { stack: Pages::new(STACK_BYTES)? })
    }

    /// Starts a process and returns as soon as it executes its program, or could not.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn(&mut self, order: Order<'_>, with_pidfd: bool) -> Result<Started, SpawnError> {
        let mut task = Task {
            program: order.program.as_ptr(),
            arguments: order.arguments.pointers(),
            environment: order.environment.pointers(),
            directory: order.directory.as_ptr(),
            stdin: order.stdin.map_or(-1, |fd| fd.as_raw_fd()),
            stdout: order.stdout.as_raw_fd(),
            stderr: order.stderr.map_or(-1, |fd| fd.as_raw_fd()),
            pid: order.pid.map_or(std::ptr::null(), std::ptr::from_ref),
            alarm_s: order.alarm_s,
            limits: order.limits.as_ptr(),
            limit_count: order.limits.len(),
            clear_mask: order.clear_mask,
            error: 0,
        };
        let mut pidfd: RawFd = -1;
        let flags = libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64 | CLEAR_SIGHAND;
        let args = CloneArgs {
            flags: if with_pidfd { flags | libc::CLONE_PIDFD as u64 } else { flags },
            pidfd: &raw mut pidfd as u64,
            exit_signal: libc::SIGCHLD as u64,
            stack: self.stack.as_mut_ptr() as u64,
            stack_size: self.stack.len() as u64,
            ..CloneArgs::default()
        };
        // SAFETY: see the head of this file; the stack is page-aligned, used by nobody else (&mut self), and
        // `task` with all that it points to lives until the call returns, which is after the child left this memory.
        let pid = unsafe { clone3_call(&raw const args, child, (&raw mut task).cast()) };
        if pid < 0 {
            return Err(SpawnError::Clone(-pid as i32));
        }
        // SAFETY: the kernel put a new descriptor here, because CLONE_PIDFD was asked for.
        let pidfd = (with_pidfd && pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        // SAFETY: a plain read of a live local that the child may have written before it ended.
        match unsafe { (&raw const task.error).read_volatile() } {
            0 => Ok(Started { pid: pid as i32, pidfd }),
            errno => Err(SpawnError::Exec(errno)),
        }
    }
}

/// The first moments of a handler. Runs on the spawner's stack in the caller's memory: system calls only.
extern "C" fn child(task: *mut c_void) -> ! {
    let task = task.cast::<Task>();
    // SAFETY: `task` is valid and ours alone until execve or _exit (CLONE_VFORK); all calls are async-signal-safe.
    unsafe {
        let ok = libc::setpgid(0, 0) == 0
            && libc::dup2((*task).stdout, 1) >= 0
            && ((*task).stdin < 0 || libc::dup2((*task).stdin, 0) >= 0)
            && ((*task).stderr < 0 || libc::dup2((*task).stderr, 2) >= 0)
            && libc::chdir((*task).directory) == 0
            && set_limits((*task).limits, (*task).limit_count)
            && (!(*task).clear_mask || empty_mask() == 0);
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
/// `limits` points to `count` of them. Async-signal-safe; for [`child`].
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
/// Async-signal-safe; for [`child`].
unsafe fn empty_mask() -> i32 {
    let none: u64 = 0;
    // SAFETY: the kernel reads 8 bytes, its signal set, from `none`.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            8usize,
        ) as i32
    }
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

/// clone3 whose child calls `entry(argument)` on the stack of `args`. Returns the pid or `-errno`, in the parent only.
///
/// # Safety
/// `args` must name a stack that is large enough for `entry`, 16-byte aligned at its end, and free to use.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3_call(
    args: *const CloneArgs,
    entry: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> isize {
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

/// As above, for aarch64.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3_call(
    args: *const CloneArgs,
    entry: extern "C" fn(*mut c_void) -> !,
    argument: *mut c_void,
) -> isize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    fn run(program: &CStr, arguments: &[&[u8]], stdin: Option<&[u8]>) -> Result<String, SpawnError> {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (input, mut feed) = std::io::pipe().unwrap();
        feed.write_all(stdin.unwrap_or_default()).unwrap();
        drop(feed);
        let (mut argv, mut env) = (CStrings::default(), CStrings::default());
        arguments.iter().for_each(|argument| assert!(argv.push(&[argument])));
        assert!(env.push(&[b"GREETING=", b"hello"]));
        let order = Order {
            program,
            arguments: &mut argv,
            environment: &mut env,
            directory: c"/usr",
            stdin: stdin.map(|_| input.as_fd()),
            stdout: writer.as_fd(),
            stderr: None,
            pid: None,
            alarm_s: 0,
            limits: &[Limit::new(Resource::RLIMIT_NOFILE, 99, 100), Limit::new(Resource::RLIMIT_CORE, 0, 0)],
            clear_mask: true,
        };
        Spawner::new().unwrap().spawn(order, false)?;
        drop(writer);
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        Ok(output)
    }

    #[test]
    fn the_program_gets_its_arguments_environment_directory_and_limits() {
        let script: &[u8] = b"echo $0 $1 $GREETING; pwd; ulimit -n; ulimit -c";
        let output = run(c"/bin/sh", &[b"sh", b"-c", script, b"name", b"argument"], None).unwrap();
        assert_eq!(output, "name argument hello\n/usr\n99\n0\n");
    }

    #[test]
    fn the_program_leads_a_process_group_of_its_own() {
        // Fields 5 and 1 of /proc/PID/stat: the group, and the process.
        let script: &[u8] = b"read pid name state parent group rest </proc/$$/stat; echo $((group - pid))";
        assert_eq!(run(c"/bin/sh", &[b"sh", b"-c", script], None).unwrap(), "0\n");
    }

    #[test]
    fn the_program_reads_its_standard_input() {
        assert_eq!(run(c"/bin/cat", &[b"cat"], Some(b"a body")).unwrap(), "a body");
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_an_error_with_its_reason() {
        assert_eq!(run(c"/nowhere", &[b"x"], None).unwrap_err(), SpawnError::Exec(libc::ENOENT));
        assert_eq!(run(c"/etc/passwd", &[b"x"], None).unwrap_err(), SpawnError::Exec(libc::EACCES));
    }

    #[test]
    fn a_pidfd_tells_the_end_of_the_process() {
        let (mut argv, mut env) = (CStrings::default(), CStrings::default());
        assert!(argv.push(&[b"true"]));
        let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
        let order = Order {
            program: c"/bin/true",
            arguments: &mut argv,
            environment: &mut env,
            directory: c"/",
            stdin: None,
            stdout: null.as_fd(),
            stderr: None,
            pid: None,
            alarm_s: 0,
            limits: &[],
            clear_mask: false,
        };
        let started = Spawner::new().unwrap().spawn(order, true).unwrap();
        let pidfd = started.pidfd.unwrap();
        let mut poll = [nix::poll::PollFd::new(pidfd.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut poll, 10_000u16).unwrap(), 1);
    }
}
