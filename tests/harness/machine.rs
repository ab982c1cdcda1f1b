//! The machine under a test: free ports, a clean environment, reports of skipped tests.

use std::fmt::Display;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::DEADLINE;

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

/// A port that only root can bind, another one each time; another process may take it in between.
pub fn privileged_port() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = (512..1024).rev().cycle().skip(NEXT.fetch_add(1, Relaxed) as usize);
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap().to_string()
}

/// Lets this process and its children have this many open files. `false`, reported, where that is not permitted.
pub fn has_descriptors(count: u64) -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < count {
        skipped(format!("{count} open files are needed, and the hard limit is {hard}"));
        return false;
    }
    soft >= count || setrlimit(Resource::RLIMIT_NOFILE, count, hard).is_ok()
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

/// Where a server listens: a port of 127.0.0.1, or a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Port(u16),
    Unix(PathBuf),
}

impl Place {
    /// The place in a ready line.
    #[track_caller]
    pub fn of(ready: &str) -> Self {
        let address = ready.split(" ready on ").nth(1).and_then(|rest| rest.split(',').next());
        let unix =
            address.and_then(|address| address.strip_prefix("unix:")).map(|path| Self::Unix(path.into()));
        let port = || address.and_then(|address| address.rsplit(':').next()?.parse().ok()).map(Self::Port);
        unix.or_else(port).unwrap_or_else(|| panic!("no ready line: {ready:?}"))
    }

    /// 0 for a unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Self::Port(port) => *port,
            Self::Unix(_) => 0,
        }
    }

    /// A connection; that to a unix socket has the type of the others, which reads and writes it alike.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = match self {
            Self::Port(port) => TcpStream::connect(("127.0.0.1", *port))?,
            Self::Unix(path) => OwnedFd::from(UnixStream::connect(path)?).into(),
        };
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }
}

/// The port in a ready line; 0 for a unix socket.
#[track_caller]
pub fn port_of(ready: &str) -> u16 {
    Place::of(ready).port()
}

/// The names in a directory, sorted, including hidden ones.
pub fn names_in(dir: &std::path::Path) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
