//! The workers of a running server and their open connections. Read-only.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use procfs::process::FDTarget;

use super::processes::{children, process};
use crate::scoreboard::Scoreboard;
use crate::sys::sockdiag::SockDiag;

#[derive(Debug)]
pub enum Workers {
    Board(Scoreboard),
    /// Of another server: the last children of its first process.
    ChildrenOf {
        pid: u32,
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
                let all = children(*pid);
                (0..).zip(all[all.len().saturating_sub(*count)..].iter().copied()).collect()
            }
        }
    }
}

/// Connections that a process has open, by the ports of their other ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// All that came was read: they are being answered.
    pub answering: Vec<u16>,
    /// Accepted, with bytes that were not read.
    pub untouched: Vec<u16>,
}

/// Connections to `address` that a process has open; `None` if unknown. Connections in an accept queue belong
/// to no worker.
pub fn open_connections(pid: u32, address: SocketAddr) -> Option<Held> {
    let connections = SockDiag::open().ok()?.connections(address).ok()?;
    let open = process(pid)?.fd().ok()?.flatten();
    // A connection may be open under several descriptors.
    let sockets: BTreeSet<u64> = open
        .filter_map(|one| if let FDTarget::Socket(inode) = one.target { Some(inode) } else { None })
        .collect();
    let mut held = Held::default();
    for connection in connections.iter().filter(|one| sockets.contains(&one.inode.into())) {
        let list = if connection.unread == 0 { &mut held.answering } else { &mut held.untouched };
        list.push(connection.port);
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_was_accepted_is_in_ones_hands_and_what_waits_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
        clients[1].write_all(b"GET").unwrap();
        let port = |client: usize| clients[client].local_addr().unwrap().port();
        let held = || open_connections(std::process::id(), address).unwrap();
        assert_eq!(held(), Held::default());
        let mut accepted: Vec<_> = (0..2).map(|_| listener.accept().unwrap().0).collect();
        let _again = accepted[0].try_clone().unwrap();
        assert_eq!(held(), Held { answering: vec![port(0)], untouched: vec![port(1)] });
        let mut text = [0; 3];
        accepted[1].read_exact(&mut text).unwrap();
        assert!(held().untouched.is_empty() && held().answering.len() == 2);
        drop(accepted);
        assert_eq!(held().answering, [port(0)]);
    }
}
