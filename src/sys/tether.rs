//! Ties a child process to the thread that starts it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};

/// Makes the child die (`SIGKILL`) when the thread that starts it dies, for whatever reason, and gives it a process
/// group of its own and an empty signal mask: `PR_SET_PDEATHSIG` of prctl(2).
pub fn tether(command: &mut Command) -> &mut Command {
    let hook = || {
        nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL)).map_err(io::Error::from)?;
        SigSet::empty().thread_set_mask().map_err(io::Error::from)
    };
    // SAFETY: between fork and exec the hook makes two system calls and touches no lock and no heap.
    unsafe { command.process_group(0).pre_exec(hook) }
}
