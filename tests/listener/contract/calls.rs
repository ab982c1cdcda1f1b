//! The documented system calls per connection, compared with those the kernel sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caffeine::listener::Spread;

use super::everywhere;
use crate::harness::traffic::children;
use crate::harness::{Answer, Sandbox};

/// System calls a listener could make, except fcntl(), which a debug build makes before each close().
const WATCHED: &[(&str, i64)] = &[
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

const CONNECTIONS: usize = 20;

type Calls = BTreeMap<&'static str, f64>;

/// System calls per connection in the processes below the supervisor; each connection arrives when all are
/// idle.
fn per_connection(listener: &str, workers: &str) -> Option<Calls> {
    let sandbox = Sandbox::new();
    let seen = Arc::new(Mutex::new(BTreeMap::<(u32, i64), usize>::new()));
    let count = Arc::clone(&seen);
    let numbers: Vec<i64> = WATCHED.iter().map(|(_, number)| *number).collect();
    let server = sandbox.start_behind(
        &numbers,
        move |call| {
            *count.lock().unwrap().entry((call.thread, call.number)).or_default() += 1;
            Answer::Allow
        },
        &["--listener", listener, "--respond", "fixed", "-w", workers],
    )?;
    let children = children(server.pid());
    let of_children = || -> Vec<(i64, usize)> {
        let seen = seen.lock().unwrap();
        let theirs = seen.iter().filter(|((thread, _), _)| children.contains(thread));
        theirs.map(|((_, number), count)| (*number, *count)).collect()
    };
    let when_quiet = || loop {
        let before = of_children();
        std::thread::sleep(Duration::from_millis(20));
        let after = of_children();
        if before == after {
            return after;
        }
    };
    assert_eq!(server.get("/").status, 200);
    let before = when_quiet();
    for _ in 0..CONNECTIONS {
        assert_eq!(server.get("/").status, 200);
        when_quiet();
    }
    let mut calls = Calls::new();
    let sum = |counts: &[(i64, usize)], number| -> usize {
        counts.iter().filter(|(of, _)| *of == number).map(|(_, count)| *count).sum()
    };
    let after = when_quiet();
    for &(name, number) in WATCHED {
        let more = sum(&after, number) - sum(&before, number);
        *calls.entry(name).or_default() += more as f64 / CONNECTIONS as f64;
    }
    Some(calls)
}

#[test]
fn a_connection_costs_the_documented_system_calls() {
    // The calls that a request costs with any strategy.
    let Some(mut common) = per_connection("inherited", "2") else { return };
    *common.get_mut("accept4").unwrap() -= 1.0;
    assert!(common["accept4"].abs() < 0.1, "{common:?}");
    everywhere(|choice, listener| {
        // In a race the promise holds for the winner: with one worker there is no loser.
        let workers = if choice.promises().spread == Spread::Race { "1" } else { "2" };
        for (name, count) in per_connection(listener, workers).unwrap() {
            let promised = choice.promises().calls.iter().filter(|call| **call == name).count() as f64;
            let seen = count - common[name];
            assert!(
                (seen - promised).abs() < 0.3,
                "{listener}: {name}: {seen} per connection, not {promised}"
            );
        }
    });
}
