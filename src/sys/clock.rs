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

/// `CLOCK_REALTIME` in nanoseconds since 1970. It can jump: good for saying when something was, not how long it took.
///
/// # Panics
/// Never on Linux, where this clock always exists.
pub fn realtime_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("CLOCK_REALTIME exists on Linux");
    now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs()
}

/// What the kernel knows about how right its wall clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether something (chrony, ntpd, PTP) keeps it right.
    pub synchronised: bool,
    /// What is still to be corrected, in us.
    pub offset_us: i64,
    /// Estimated error, in us.
    pub estimated_error_us: i64,
    /// Bound of the error, in us.
    pub max_error_us: i64,
}

/// Reads the state of the wall clock.
///
/// # Errors
/// Those of `adjtimex`: a container may forbid it.
pub fn discipline() -> io::Result<Discipline> {
    // SAFETY: all fields are integers, for which zero is a value; no mode bit is set, so that the call only reads.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to live memory of the right type.
    let result = unsafe { libc::adjtimex(&raw mut state) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let nanoseconds = state.status & libc::STA_NANO != 0;
    Ok(Discipline {
        synchronised: state.status & libc::STA_UNSYNC == 0,
        offset_us: if nanoseconds { state.offset / 1000 } else { state.offset },
        estimated_error_us: state.esterror,
        max_error_us: state.maxerror,
    })
}
