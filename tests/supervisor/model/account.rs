//! The clients of an instance and how their connections ended.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{DEADLINE, connect, eventually};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/// Where a half-sent request is cut.
const HALF: usize = 20;
/// Longer than any response takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections and what is known about their end.
#[derive(Debug, Default)]
pub struct Account {
    port: u16,
    /// Whether a connection may be refused for a moment: the only worker died with its socket.
    refusals: bool,
    /// Complete requests.
    sent: Vec<TcpStream>,
    /// Half-sent requests.
    halves: Vec<TcpStream>,
    /// Connections that ended without a response.
    pub lost: usize,
    /// Connections held by killed processes.
    pub held_by_killed: usize,
}

impl Account {
    pub fn new(port: u16, refusals: bool) -> Self {
        Self { port, refusals, ..Self::default() }
    }

    fn connect(&self) -> TcpStream {
        if self.refusals {
            eventually("it listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        }
        connect(self.port)
    }

    /// Sends complete requests.
    pub fn send(&mut self, count: usize) {
        for _ in 0..count {
            let mut stream = self.connect();
            stream.write_all(REQUEST).unwrap();
            self.sent.push(stream);
        }
    }

    pub fn send_half(&mut self) {
        let mut stream = self.connect();
        stream.write_all(&REQUEST[..HALF]).unwrap();
        self.halves.push(stream);
    }

    pub fn send_other_halves(&mut self) {
        for mut half in self.halves.drain(..) {
            // Fails if the worker holding it was killed; the end of the connection is checked later.
            let _ = half.write_all(&REQUEST[HALF..]);
            self.sent.push(half);
        }
    }

    /// Complete requests without a response so far.
    pub fn waiting(&self) -> usize {
        self.sent.len()
    }

    /// Reads the responses to all complete requests.
    ///
    /// # Errors
    /// A response is overdue; it stays pending.
    pub fn finish(&mut self) -> Result<(), String> {
        for mut stream in self.sent.drain(..) {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Ok(_) if answer.starts_with(b"HTTP/1.1 200 ") => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(format!("a connection is not answered within {PATIENCE:?}"));
                }
                _ => self.lost += 1,
            }
        }
        Ok(())
    }

    /// More connections were lost than killed processes held.
    pub fn balance(&self) -> Result<(), String> {
        if self.lost <= self.held_by_killed {
            return Ok(());
        }
        Err(format!("{} connections lost, {} were held by killed processes", self.lost, self.held_by_killed))
    }
}

/// Sends this many requests at once and reads all responses: enough to reach every socket of a group.
///
/// # Errors
/// A request got no response.
pub fn probe(port: u16, count: usize) -> Result<(), String> {
    let mut probes = Account::new(port, false);
    probes.send(count);
    probes.finish().map_err(|reason| format!("of {count} probes: {reason}"))?;
    if probes.lost > 0 { Err(format!("{} of {count} probes lost", probes.lost)) } else { Ok(()) }
}

/// Connections a process has open, including accepted ones it has not read from.
pub fn held_by(pid: u32, port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!(":{port:04X}");
    let connection = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&"0A");
        (!listens && fields.get(1)?.ends_with(&local)).then(|| format!("socket:[{}]", fields[9]))
    };
    let inodes: BTreeSet<String> = table.lines().filter_map(connection).collect();
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = links.filter_map(|link| std::fs::read_link(link.path()).ok());
    let held: BTreeSet<String> = targets
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|to| inodes.contains(to))
        .collect();
    held.len()
}

const _: () = assert!(PATIENCE.as_secs() < DEADLINE.as_secs());
