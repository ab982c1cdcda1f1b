//! Kills a process of the server and records what it held at that moment.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::client::Story;
use crate::harness::traffic::children;
use crate::harness::{Server, eventually, pid};

/// A killed process.
#[derive(Debug)]
pub struct Death {
    pub process: u32,
    pub at: Instant,
    /// Client ports of the connections among its descriptors; `None` where they cannot be seen.
    held: Option<BTreeSet<u16>>,
}

impl Death {
    /// Whether this death explains the loss of a connection: it was held, or, if unknown, ended at that
    /// moment.
    pub fn took(&self, story: &Story) -> bool {
        let meanwhile = story.begun <= self.at && self.at <= story.ended;
        let just_then = || story.ended <= self.at + Duration::from_millis(500);
        meanwhile && self.held.as_ref().map_or_else(just_then, |held| held.contains(&story.port))
    }
}

/// Whether a child of the supervisor runs the server's program; adopted handlers do not.
pub fn is_ours(server: &Server, process: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{process}/comm"));
    name.is_ok_and(|name| name == "caffeine\n") && children(server.pid()).contains(&process)
}

/// Stops a process, reads its descriptors and kills it. `None` when it had already exited.
pub fn kill_and_see(server: &Server, process: u32) -> Option<Death> {
    kill(pid(process), Signal::SIGSTOP).ok()?;
    eventually("all its threads are stopped, or it is gone", || {
        threads(process).iter().all(|state| ['T', 'Z', 'X'].contains(state))
    });
    if !is_ours(server, process) {
        return None;
    }
    let held = inodes(process).map(|inodes| ports(server.port(), &inodes));
    let at = Instant::now();
    let _ = kill(pid(process), Signal::SIGKILL);
    Some(Death { process, at, held })
}

/// The states of the threads of a process.
fn threads(process: u32) -> Vec<char> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next()).collect()
}

/// The sockets among the descriptors of a process.
fn inodes(process: u32) -> Option<BTreeSet<String>> {
    let links = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
    let targets = links.filter_map(|link| fs::read_link(link.path()).ok());
    let socket = |target: std::path::PathBuf| {
        Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    Some(targets.filter_map(socket).collect())
}

/// Client ports of the server's connections with these sockets.
fn ports(server: u16, inodes: &BTreeSet<String>) -> BTreeSet<u16> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    let client = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let ours = port(fields.get(1)?)? == server && inodes.contains(*fields.get(9)?);
        ours.then(|| port(fields[2])).flatten()
    };
    table.lines().skip(1).filter_map(client).collect()
}
