//! The machine under a test: free ports, a clean environment, reports of skipped tests.

use std::fmt::Display;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A port that was just free and that no other test of this run gets. It lies below the ephemeral ports, so
/// the kernel cannot give it to a client meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let lowest: u32 = range.split_whitespace().next().unwrap().parse().unwrap();
    let least = lowest.div_ceil(2).max(1024);
    assert!(least < lowest, "no port lies below those of clients: {range}");
    let candidate = || {
        let turn = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Relaxed));
        (least + turn % (lowest - least)) as u16
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(candidate).find(is_free).unwrap()
}

/// Reports that this test or a part of it cannot run here. Bypasses libtest, which would hide the output of
/// a passing test.
pub fn skipped(why: impl Display) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {why}", thread.name().unwrap_or("a test"));
}

/// Removes variables that `caffeine` would read: settings, the state directory, and variables of a service
/// manager.
pub fn without_settings(command: &mut Command) {
    let others =
        ["XDG_STATE_HOME", "NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CAFFEINE_") || others.contains(&&*text) {
            command.env_remove(name);
        }
    }
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The port in a ready line; 0 for a unix socket.
#[track_caller]
pub fn port_of(ready: &str) -> u16 {
    if ready.contains(" ready on unix:") {
        return 0;
    }
    let address = ready.split(" ready on ").nth(1).and_then(|rest| rest.split(',').next());
    let port = address.and_then(|address| address.rsplit(':').next()?.parse().ok());
    port.unwrap_or_else(|| panic!("no ready line: {ready:?}"))
}
