//! `--pin`: keeps a worker and its handlers on one CPU.

use std::io;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::sys::tether;

/// Pins the calling process to one of the CPUs it may use: worker 0 to the first, and so on, cyclically.
///
/// # Errors
/// Those of sched_setaffinity(2).
pub(super) fn to_one_cpu(worker: usize) -> io::Result<()> {
    let allowed = tether::processors()?;
    let Some(cpu) = allowed.get(worker % allowed.len().max(1)) else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(*cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
