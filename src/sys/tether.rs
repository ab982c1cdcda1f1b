//! Ties a child process to the thread that starts it and to processors, gives it a session, and has it preempt others.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

/// Makes the kernel kill the child (`SIGKILL`) when the thread that starts it ends, `PR_SET_PDEATHSIG` of prctl(2), and gives
/// it an empty signal mask and a session of its own. The scheduler shares processors out over sessions first (autogroups, sched(7)),
/// so a server in the session of its load generator would run under other conditions than one that starts a session.
pub fn tether(command: &mut Command) -> &mut Command {
    let hook = || {
        nix::unistd::setsid().map_err(io::Error::from)?;
        nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL)).map_err(io::Error::from)?;
        SigSet::empty().thread_set_mask().map_err(io::Error::from)
    };
    // SAFETY: between fork and exec the hook makes three system calls and touches no lock and no heap.
    unsafe { command.pre_exec(hook) }
}

/// Restricts the child to these processors (sched_setaffinity(2)). The start fails if none of them may be used.
pub fn pin(command: &mut Command, processors: CpuSet) -> &mut Command {
    let hook = move || Ok(sched_setaffinity(Pid::from_raw(0), &processors)?);
    // SAFETY: between fork and exec the hook makes one system call and touches no lock and no heap.
    unsafe { command.pre_exec(hook) }
}

/// Has all threads of the child preempt those of the ordinary policy: `SCHED_FIFO` with the lowest priority, sched(7). The start
/// fails if [`may_preempt`] is false.
pub fn preempting(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec the hook makes one system call and touches no lock and no heap.
    unsafe { command.pre_exec(run_first) }
}

/// Whether this process may start a child that preempts others: `CAP_SYS_NICE` or a limit `RLIMIT_RTPRIO` above 0, and a
/// system that does not refuse.
pub fn may_preempt() -> bool {
    // The policy is that of one thread, and ends with it.
    std::thread::scope(|scope| scope.spawn(|| run_first().is_ok()).join().unwrap_or(false))
}

fn run_first() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: sched_setscheduler(2) reads the parameter, which outlives the call.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The numbers of the processors that this process may use.
///
/// # Errors
/// Those of sched_getaffinity(2).
pub fn processors() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|n| set.is_set(*n).unwrap_or(false)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tethered_child_leads_a_session() {
        let output = tether(Command::new("cat").arg("/proc/self/stat")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // Process, then after the name in brackets: state, parent, group, session (proc_pid_stat(5)).
        let pid = text.split(' ').next().unwrap();
        let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!(fields[2..4], [pid, pid], "{text}");
    }
}
