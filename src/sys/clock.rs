//! Clocks, and how punctually the calling thread is woken. It knows how to read and set them, not what is being timed.

use std::io;
use std::time::Duration;

use nix::sys::prctl::set_timerslack;
use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds since boot: read through the vDSO, about 40 ns.
///
/// # Panics
/// Never on Linux, where this clock always exists.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on Linux");
    now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs()
}

/// Time since a moment in clock ticks after boot, as /proc gives it (proc(5)).
pub fn since_start(ticks: u64) -> Duration {
    use nix::unistd::{SysconfVar, sysconf};
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().map_or(100, i64::unsigned_abs).max(1);
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    let then = Duration::from_nanos(1_000_000_000 / per_second * (ticks % per_second))
        + Duration::from_secs(ticks / per_second);
    now.saturating_sub(then)
}

/// CPU time that the calling thread has used so far, user and system, in nanoseconds: to the moment, where
/// `getrusage` is behind by up to a tick of the scheduler.
///
/// # Errors
/// Those of `clock_gettime(CLOCK_THREAD_CPUTIME_ID)`: none on Linux.
pub fn thread_cpu_ns() -> io::Result<u64> {
    let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(used.tv_sec().unsigned_abs() * 1_000_000_000 + used.tv_nsec().unsigned_abs())
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

/// The kernel's estimate of the wall clock's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether a daemon (chrony, ntpd, PTP) keeps it synchronised.
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

/// Asks the scheduler for slices of `slice_ns` (100,000 to 100,000,000) for the calling thread, which stays an ordinary one
/// of the same niceness. EEVDF, since Linux 6.12, lets a thread with a shorter slice run sooner after it wakes up; its
/// share of the CPU stays the same. It takes no privilege; an older kernel ignores the slice.
///
/// # Errors
/// Those of `sched_setattr(2)` and `sched_getattr(2)`; `EPERM` where a sandbox forbids them.
pub fn short_slice(slice_ns: u64) -> io::Result<()> {
    // SAFETY: integers only, of which zero is a value.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    // SAFETY: pointer and size describe `attr`, which the kernel fills; 0 is the calling thread.
    super::cerr(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) })?;
    attr.size = size;
    attr.sched_runtime = slice_ns;
    // SAFETY: the kernel only reads `attr`, whose size it carries.
    super::cerr(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of the calling thread's scheduling statistics; none if the kernel provides none.
    fn field(name: &str) -> Option<String> {
        let text = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().last().map(str::to_owned)
    }

    #[test]
    fn a_thread_that_asks_for_short_slices_gets_them_and_stays_an_ordinary_one() {
        let ask = || {
            let before = (field("policy"), field("prio"));
            exact_timers().unwrap();
            short_slice(100_000).unwrap();
            assert_eq!((field("policy"), field("prio")), before);
            assert!(field("se.slice").is_none_or(|slice| slice == "100000"));
        };
        std::thread::spawn(ask).join().unwrap();
    }
}
