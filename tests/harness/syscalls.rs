//! Names of the system calls that a listener layer could make.

/// All but fcntl(): a development build checks each descriptor before it closes it.
pub const SYSCALLS: &[(&str, i64)] = &[
    ("accept", libc::SYS_accept),
    ("accept4", libc::SYS_accept4),
    ("clock_nanosleep", libc::SYS_clock_nanosleep),
    ("close", libc::SYS_close),
    ("connect", libc::SYS_connect),
    ("dup", libc::SYS_dup),
    ("dup3", libc::SYS_dup3),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("epoll_wait", libc::SYS_epoll_pwait),
    #[cfg(target_arch = "x86_64")]
    ("epoll_wait", libc::SYS_epoll_wait),
    ("eventfd2", libc::SYS_eventfd2),
    ("flock", libc::SYS_flock),
    ("futex", libc::SYS_futex),
    ("getpeername", libc::SYS_getpeername),
    ("getsockname", libc::SYS_getsockname),
    ("getsockopt", libc::SYS_getsockopt),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("ioctl", libc::SYS_ioctl),
    ("kill", libc::SYS_kill),
    ("listen", libc::SYS_listen),
    ("nanosleep", libc::SYS_nanosleep),
    #[cfg(target_arch = "x86_64")]
    ("poll", libc::SYS_poll),
    ("ppoll", libc::SYS_ppoll),
    ("read", libc::SYS_read),
    ("readv", libc::SYS_readv),
    ("recvfrom", libc::SYS_recvfrom),
    ("recvmsg", libc::SYS_recvmsg),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("sched_yield", libc::SYS_sched_yield),
    ("sendmsg", libc::SYS_sendmsg),
    ("sendto", libc::SYS_sendto),
    ("setsockopt", libc::SYS_setsockopt),
    ("shutdown", libc::SYS_shutdown),
    ("tgkill", libc::SYS_tgkill),
    ("timerfd_settime", libc::SYS_timerfd_settime),
    ("write", libc::SYS_write),
    ("writev", libc::SYS_writev),
];

/// The name of a system call.
pub fn name(number: i64) -> Option<&'static str> {
    SYSCALLS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}
