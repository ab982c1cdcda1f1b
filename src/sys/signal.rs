//! Signals of a worker: they interrupt its wait for connections without a system call per request.
//!
//! A signal that arrives just before `accept()` blocks would be lost if its handler only set a flag. So a worker
//! waits on an alias ([`Interruptible`]) of its descriptor, and the handler puts `/dev/null` in the alias' place:
//! a wait that has begun ends with EINTR, one that begins later fails at once.

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};

const NONE: i32 = -1;
static ALIASES: [AtomicI32; 8] = [const { AtomicI32::new(NONE) }; 8];
/// `/dev/null` in a worker: its standard input.
const NULL: i32 = 0;
static STOP: AtomicBool = AtomicBool::new(false);
/// Log files that SIGUSR1 opens again.
static LOGS: [Log; 2] = [const { Log { fd: AtomicI32::new(NONE), path: OnceLock::new() } }; 2];

struct Log {
    fd: AtomicI32,
    path: OnceLock<CString>,
}

/// An alias of a descriptor that a stop signal replaces with `/dev/null`, on which no `accept`, `epoll_wait` or
/// `read` ever waits. The original stays as it is.
#[derive(Debug)]
pub struct Interruptible(OwnedFd);

impl Interruptible {
    /// Makes an alias of `fd`. A process can have 8 at a time.
    ///
    /// # Errors
    /// `EMFILE`; `OutOfMemory` when there are 8 already.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let alias = fd.try_clone_to_owned()?;
        let taken =
            |place: &AtomicI32| place.compare_exchange(NONE, alias.as_raw_fd(), SeqCst, SeqCst).is_err();
        if ALIASES.iter().all(taken) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Self(alias))
    }
}

impl AsFd for Interruptible {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        for place in &ALIASES {
            let _ = place.compare_exchange(self.0.as_raw_fd(), NONE, SeqCst, SeqCst);
        }
    }
}

/// Whether a stop signal has arrived.
pub fn stopped() -> bool {
    STOP.load(SeqCst)
}

/// Goes on after a stop signal, with a new alias of `fd`, because earlier ones stay interrupted.
///
/// # Errors
/// Those of [`Interruptible::new`]; then the stop stands.
pub fn resume(fd: BorrowedFd<'_>) -> io::Result<Interruptible> {
    // First: a signal that arrives from now on stops again, and counts.
    STOP.store(false, SeqCst);
    Interruptible::new(fd).inspect_err(|_| STOP.store(true, SeqCst))
}

extern "C" fn on_stop(_signal: c_int) {
    STOP.store(true, SeqCst);
    keeping_errno(|| {
        for alias in ALIASES.iter().map(|place| place.load(SeqCst)).filter(|alias| *alias != NONE) {
            // SAFETY: async-signal-safe; replaces a descriptor that `Interruptible` owns with an open one.
            unsafe { libc::dup3(NULL, alias, libc::O_CLOEXEC) };
        }
    });
}

/// A handler does `work`; the code that it has interrupted finds `errno` as it was.
fn keeping_errno(work: impl FnOnce()) {
    // SAFETY: the address of the thread's own errno, which lives as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    work();
    // SAFETY: as above.
    unsafe { *errno = before };
}

extern "C" fn on_reopen(_signal: c_int) {
    for log in &LOGS {
        if let (Some(path), fd @ 0..) = (log.path.get(), log.fd.load(SeqCst)) {
            reopen(path, fd);
        }
    }
}

/// Async-signal-safe.
fn reopen(path: &CString, log: c_int) {
    // Non-blocking, because the log may have been replaced by a FIFO.
    const FLAGS: c_int =
        libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    keeping_errno(|| {
        // SAFETY: open, fstat, dup3 and close are async-signal-safe; the path is a valid C string that is never freed;
        // fstat writes to a struct of plain numbers.
        unsafe {
            let new = libc::open(path.as_ptr(), FLAGS, 0o600);
            if new >= 0 {
                let mut stat: libc::stat = std::mem::zeroed();
                // Like the supervisor, which also reports it: only regular files are written to.
                if libc::fstat(new, &raw mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFREG {
                    libc::dup3(new, log, libc::O_CLOEXEC);
                }
                libc::close(new);
            }
        }
    });
}

extern "C" fn on_nothing(_signal: c_int) {}

fn handle(signals: &[Signal], handler: SigHandler, flags: SaFlags) -> io::Result<()> {
    let action = SigAction::new(handler, flags, SigSet::empty());
    for &signal in signals {
        // SAFETY: the handlers above are async-signal-safe and live as long as the program.
        unsafe { sigaction(signal, &action)? };
    }
    Ok(())
}

/// Gives every signal its default action, the real-time ones too. libc keeps two of those for its threads and does not
/// let them be changed, but a parent may have ignored them; so this is for a process without threads.
fn all_default() {
    /// `struct sigaction` as the kernel has it; all zero is `SIG_DFL` without flags.
    const DEFAULT: [u64; 4] = [0; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads `DEFAULT` and writes nothing; no handler is installed. KILL and STOP fail, as they should.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null_mut::<u64>(),
                8usize,
            )
        };
    }
}

/// Has SIGUSR1 open `path` again under the descriptor `log`, which stays open as long as the process. There can be two.
pub fn reopens(log: BorrowedFd<'static>, path: &Path) {
    use std::os::unix::ffi::OsStrExt;
    let fd = log.as_raw_fd();
    let mut own = LOGS.iter().filter(|place| [NONE, fd].contains(&place.fd.load(SeqCst)));
    if let Some(place) = own.next() {
        // The path first: the signal may come in between.
        place.path.get_or_init(|| CString::new(path.as_os_str().as_bytes()).unwrap_or_default());
        place.fd.store(fd, SeqCst);
    }
}

/// Sets up a worker's signals and unblocks them all; its standard input must be `/dev/null`.
/// TERM interrupts [`Interruptible`] waits, USR1 opens the log files again ([`reopens`]), INT, HUP, and PIPE do nothing; children are reaped by the kernel (`SA_NOCLDWAIT`). No signal is *ignored*, since that would
/// be inherited through `execve`, and none restarts a system call.
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn install_worker() -> io::Result<()> {
    // Signals that this process was started with (by nohup, for example) must not reach handlers.
    all_default();
    handle(&[Signal::SIGTERM], SigHandler::Handler(on_stop), SaFlags::empty())?;
    handle(&[Signal::SIGUSR1], SigHandler::Handler(on_reopen), SaFlags::SA_RESTART)?;
    let nothing = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGPIPE];
    handle(&nothing, SigHandler::Handler(on_nothing), SaFlags::SA_RESTART)?;
    // At a log's size limit, or on another user's terminal, only the write must fail.
    handle(&[Signal::SIGXFSZ, Signal::SIGTTOU], SigHandler::Handler(on_nothing), SaFlags::empty())?;
    handle(&[Signal::SIGCHLD], SigHandler::SigDfl, SaFlags::SA_NOCLDWAIT)?;
    super::guard::arm()?;
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// Sets whether ended children stay to be waited for, or are reaped by the kernel as after [`install_worker`].
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn keep_ended_children(keep: bool) -> io::Result<()> {
    let flags = if keep { SaFlags::empty() } else { SaFlags::SA_NOCLDWAIT };
    handle(&[Signal::SIGCHLD], SigHandler::SigDfl, flags)
}

/// Ends this process by `signal`, whatever it did with it before.
pub fn end_by(signal: Signal) {
    if handle(&[signal], SigHandler::SigDfl, SaFlags::empty()).is_ok() {
        let _ = nix::sys::signal::raise(signal);
    }
}

/// Signals that a thread causes by its own instructions. Where one is blocked, the kernel ends the process instead of calling
/// the handler, so the scoreboard's [guard](super::guard) would not help a thread that blocks SIGBUS.
const FAULTS: [Signal; 5] =
    [Signal::SIGBUS, Signal::SIGSEGV, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP];

/// Runs `work` with all signals blocked in the calling thread but those that a thread causes by its own instructions (SIGBUS,
/// SIGSEGV …). A thread that `work` starts inherits that mask: if it set the mask itself, a stop signal could reach it first and
/// not interrupt the wait for connections.
///
/// # Errors
/// Those of `pthread_sigmask(3)`.
pub fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let mut blocked = SigSet::all();
    FAULTS.into_iter().for_each(|fault| blocked.remove(fault));
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let done = work();
    before.thread_set_mask()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_reach_their_handler_while_other_signals_are_blocked() {
        let before = SigSet::thread_get_mask().unwrap();
        let during = with_signals_blocked(|| SigSet::thread_get_mask().unwrap()).unwrap();
        assert!(during.contains(Signal::SIGTERM) && !FAULTS.into_iter().any(|fault| during.contains(fault)));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
