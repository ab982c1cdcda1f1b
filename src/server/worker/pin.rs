//! `--pin`: a worker, and the handlers that it starts, on one CPU. Knows the number of the worker and which CPUs the
//! supervisor may use, nothing of caches or of what else runs.

use std::io;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::sys::tether;

/// Keeps the calling process on one of the CPUs it may use: the first for worker 0, and so on, and round again.
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
