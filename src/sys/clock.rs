//! Clocks. It knows how to read them, not what is being timed.

use std::io;

use nix::sys::prctl::set_timerslack;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds since boot: read through the vDSO, about 40 ns.
///
/// # Panics
/// Never on Linux, where this clock always exists.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on Linux");
    now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs()
}

/// CPU time that the calling thread has used so far, user and system, in nanoseconds.
///
/// # Errors
/// Those of `getrusage(RUSAGE_THREAD)`: none on Linux.
pub fn thread_cpu_ns() -> io::Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(us.unsigned_abs() * 1000)
}

/// Lets the calling thread's timed waits end as exactly as the kernel can. The default slack lets them end up
/// to 50 us late.
///
/// # Errors
/// Those of `prctl(PR_SET_TIMERSLACK)`: none on Linux.
pub fn exact_timers() -> io::Result<()> {
    Ok(set_timerslack(1)?)
}
