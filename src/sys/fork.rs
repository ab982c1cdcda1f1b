//! Calls around fork: how children live, die and are reaped.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;

/// Makes the kernel send this signal to this process when its parent `parent` ends; exits at once if it has ended already.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn end_with(parent: Pid, signal: Signal) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(signal)?;
    if nix::unistd::getppid() != parent {
        exit_now(1);
    }
    Ok(())
}

/// Ends the process at once: no destructor and no `atexit` function of the parent's runs in a forked child.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// A change of a child's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Exited(i32),
    Killed(i32),
    /// By SIGSTOP.
    Stopped,
    /// By SIGCONT.
    Continued,
}

impl Fate {
    /// Converts a status of wait(2).
    pub(super) fn of(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            Self::Killed(libc::WTERMSIG(status))
        } else if libc::WIFSTOPPED(status) {
            Self::Stopped
        } else {
            Self::Continued
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with status {code}"),
            Self::Killed(libc::SIGSYS) => {
                f.write_str("killed by SIGSYS: a sandbox forbids a system call that it needs")
            }
            Self::Killed(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
            Self::Stopped => f.write_str("stopped"),
            Self::Continued => f.write_str("going on"),
        }
    }
}

/// Waits for the end of this child; `None` if it is not our child, or the kernel reaps children by itself.
pub fn wait_for(pid: i32) -> Option<Fate> {
    let mut status = 0;
    loop {
        // SAFETY: writes one integer to where the pointer points.
        match super::cerr(unsafe { libc::waitpid(pid, &raw mut status, 0) }) {
            Ok(_) => return Some(Fate::of(status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// The next child that ended, was stopped or continued, without blocking; `None` if there is none.
pub fn reap() -> Option<(Pid, Fate)> {
    let mut status = 0;
    // Not nix's: it fails for a child that a real-time signal has killed, when that has been reaped already and is lost.
    // SAFETY: writes one integer to where the pointer points.
    let pid =
        unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED) };
    (pid > 0).then(|| (Pid::from_raw(pid), Fate::of(status)))
}

/// Whether a process is a child of this one that has not been reaped.
pub fn is_child(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid), flags) != Err(nix::Error::ECHILD)
}

/// Whether this process has running children (auto-reaped ones included).
pub fn has_children() -> bool {
    let flags = WaitPidFlag::WNOHANG;
    waitpid(Pid::from_raw(-1), Some(flags)) != Err(nix::Error::ECHILD)
}

/// Reaps children until none is left, for at most this long.
pub fn await_children(at_most: Duration) {
    let end = Instant::now() + at_most;
    while has_children() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts a session without a terminal. Everything that this process starts belongs to it, unless it calls setsid(2).
///
/// # Errors
/// `EPERM` for the leader of a process group.
pub fn begin_session() -> io::Result<()> {
    Ok(nix::unistd::setsid().map(drop)?)
}

/// From now on other processes of the same user cannot read this process or its forked children: not the environment,
/// not the memory, not with a debugger; and it dumps no core. execve resets this.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn be_private() -> io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

/// From now on no program that this process executes gains privileges (setuid has no effect).
///
/// # Errors
/// Those of `prctl(2)`.
pub fn gain_no_privileges() -> io::Result<()> {
    Ok(nix::sys::prctl::set_no_new_privs()?)
}

/// Drops ambient capabilities, which a service manager may grant for a privileged port, so that executed programs do
/// not inherit them (capabilities(7)).
///
/// # Errors
/// Those of `prctl(2)`: none on Linux 4.3 and later.
pub fn pass_on_no_capabilities() -> io::Result<()> {
    // SAFETY: no memory is passed.
    let done = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    super::cerr(done).map(drop)
}

/// Makes this process adopt orphaned descendants so that it can reap them, and gives SIGCHLD its default action.
///
/// # Errors
/// Those of `prctl(2)` and `sigaction(2)`.
pub fn adopt_orphans() -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: installs no handler.
    unsafe { sigaction(Signal::SIGCHLD, &default)? };
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}
