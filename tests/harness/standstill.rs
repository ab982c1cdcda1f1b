//! Finds out that nothing will happen any more: which connections wait and which processes sleep.

use std::fmt;
use std::time::{Duration, Instant};

use super::Server;

/// A snapshot of an instance from the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Connections in the accept queue of each listening socket.
    queues: Vec<u64>,
    /// Pid, state and kernel wait channel of each child of the supervisor.
    processes: Vec<(u32, char, String)>,
}

impl Look {
    /// Takes a snapshot of the children of a supervisor and the queues of a port.
    pub fn at(supervisor: u32, port: u16) -> Self {
        let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
        let children = children.unwrap_or_default();
        let process = |pid: &str| {
            let of = |file| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let state = of("stat").rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            Some((pid.parse().ok()?, state.unwrap_or('?'), of("wchan")))
        };
        Self { queues: queues(port), processes: children.split_whitespace().filter_map(process).collect() }
    }

    /// Whether no process is running or runnable.
    pub fn all_sleep(&self) -> bool {
        self.processes.iter().all(|(_, state, _)| matches!(state, 'S' | 'T' | 'Z'))
    }

    /// Whether connections wait while all processes sleep.
    pub fn is_in_vain(&self) -> bool {
        self.all_sleep() && self.queues.iter().sum::<u64>() > 0
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} connections wait in the accept queues", self.queues)?;
        for (pid, state, place) in &self.processes {
            let does = match state {
                'S' => "sleeps in",
                'T' => "is stopped in",
                'Z' => "has ended",
                _ => "runs",
            };
            write!(f, "; {pid} {does} {place}")?;
        }
        Ok(())
    }
}

/// The length of each accept queue of a port: the receive queue of a listening socket in /proc/net/tcp.
fn queues(port: u16) -> Vec<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!(":{port:04X}");
    let queue = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&"0A") && fields[1].ends_with(&local);
        listens.then(|| u64::from_str_radix(fields[4].split_once(':')?.1, 16).ok()).flatten()
    };
    table.lines().filter_map(queue).collect()
}

/// Whether all children of a server sleep and nothing changes for `time`. Returns `false` early.
pub fn lasts(server: &Server, time: Duration) -> bool {
    let look = || Look::at(server.pid(), server.port());
    let (first, begun) = (look(), Instant::now());
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_millis(10));
        if !first.all_sleep() || look() != first {
            return false;
        }
    }
    true
}
