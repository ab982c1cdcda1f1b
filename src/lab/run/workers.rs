//! The workers of a running server and their open connections. Read-only.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::scoreboard::Scoreboard;
use crate::sys::sockdiag::SockDiag;

#[derive(Debug)]
pub enum Workers {
    /// Of our server.
    Board(Scoreboard),
    /// Of another server: the last children of its first process.
    ChildrenOf {
        pid: u32,
        /// Number of workers.
        count: usize,
    },
}

impl Workers {
    /// Numbers and process ids, by number.
    pub fn now(&self) -> Vec<(u64, u32)> {
        match self {
            Self::Board(board) => {
                let rows = board.snapshot().into_iter();
                rows.filter_map(|row| Some((row.worker, u32::try_from(row.pid).ok()?)))
                    .filter(|(_, pid)| *pid != 0)
                    .collect()
            }
            Self::ChildrenOf { pid, count } => {
                let path = format!("/proc/{pid}/task/{pid}/children");
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let all: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                (0..).zip(all[all.len().saturating_sub(*count)..].iter().copied()).collect()
            }
        }
    }
}

/// Connections to `address` that a process has open; `None` if unknown. Connections in an accept queue belong
/// to no worker.
pub fn open_connections(pid: u32, address: SocketAddr) -> Option<u64> {
    let connections: BTreeSet<u32> = SockDiag::open().ok()?.connections(address).ok()?.into_iter().collect();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let inode = |link: std::path::PathBuf| -> Option<u32> {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    // A connection may be open under several descriptors.
    let held: BTreeSet<u32> = open
        .filter_map(|entry| inode(std::fs::read_link(entry.path()).ok()?))
        .filter(|inode| connections.contains(inode))
        .collect();
    Some(held.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_was_accepted_is_in_ones_hands_and_what_waits_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        let held = || open_connections(std::process::id(), address);
        assert_eq!(held(), Some(0));
        let accepted: Vec<_> = (0..2).map(|_| listener.accept().unwrap().0).collect();
        let _again = accepted[0].try_clone().unwrap();
        assert_eq!(held(), Some(2));
        drop(accepted);
        assert_eq!(held(), Some(1));
    }
}
