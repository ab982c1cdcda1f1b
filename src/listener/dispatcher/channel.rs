//! A worker's channel: accepted connections on their way to it, each a message with a descriptor (SCM_RIGHTS).
//!
//! Every process holds both ends of every channel, so a connection on its way survives the death of any process, and another
//! worker can take it. A message without a descriptor is a *nudge*: it wakes a worker to look at other channels.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::listener::Accepted;
use crate::sys::{fdpass, net};

/// The client's port and address.
const BYTES: usize = 18;
const NUDGE: &[u8] = b"n";

#[derive(Debug)]
pub enum Message {
    /// A connection.
    Connection(Accepted),
    /// Look at the other channels.
    Nudge,
}

/// Both ends of a channel.
#[derive(Debug)]
pub struct Channel {
    entrance: OwnedFd,
    exit: OwnedFd,
}

impl Channel {
    /// # Errors
    /// `EMFILE`.
    pub fn new() -> io::Result<Self> {
        let (entrance, exit) = fdpass::messages()?;
        Ok(Self { entrance, exit })
    }

    /// The end from which its worker reads.
    pub fn exit(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }

    /// Passes a connection on, without waiting.
    ///
    /// # Errors
    /// Those of sendmsg(2); `ETOOMANYREFS` when the user has more descriptors in flight than may be open.
    pub fn pass(&self, accepted: &Accepted) -> io::Result<()> {
        fdpass::send_one(self.entrance.as_fd(), Some(accepted.stream.as_fd()), &encode(accepted.peer))
    }

    /// Wakes the worker. If the channel is full, the worker is awake already.
    pub fn nudge(&self) {
        let _ = fdpass::send_one(self.entrance.as_fd(), None, NUDGE);
    }

    /// A connection that waits in the channel, without waiting for one.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub fn take(&self) -> io::Result<Option<Accepted>> {
        loop {
            match receive(self.exit.as_fd(), false) {
                Ok(Message::Connection(accepted)) => return Ok(Some(accepted)),
                Ok(Message::Nudge) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Connections that wait in the channel.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn len(&self) -> io::Result<u64> {
        // Nudges are so short that a few of them do not count as a connection; too high a count is soon corrected.
        Ok(net::unread(self.exit.as_fd())? as u64 / BYTES as u64)
    }
}

/// The next message from a channel's exit, or from an alias of it.
///
/// # Errors
/// `Interrupted` after a signal, also when it has replaced the alias; `WouldBlock` unless it should `wait`; those of recvmsg(2).
pub fn receive(exit: BorrowedFd<'_>, wait: bool) -> io::Result<Message> {
    let mut bytes = [0; BYTES];
    match fdpass::receive_one(exit, &mut bytes, wait) {
        Ok((BYTES, Some(stream))) => Ok(Message::Connection(Accepted { stream, peer: decode(bytes) })),
        // The descriptor was lost because this process has too many open.
        Ok((BYTES, None)) => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        Ok(_) => Ok(Message::Nudge),
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Err(io::ErrorKind::Interrupted.into()),
        Err(error) => Err(error),
    }
}

fn encode(peer: SocketAddr) -> [u8; BYTES] {
    let address = match peer.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let mut bytes = [0; BYTES];
    bytes[..2].copy_from_slice(&peer.port().to_be_bytes());
    bytes[2..].copy_from_slice(&address.octets());
    bytes
}

fn decode(bytes: [u8; BYTES]) -> SocketAddr {
    let (port, address) = bytes.split_at(2);
    let port = u16::from_be_bytes(port.try_into().expect("two bytes"));
    let address: [u8; 16] = address.try_into().expect("sixteen bytes");
    SocketAddr::new(Ipv6Addr::from(address).to_canonical(), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn connection(peer: &str) -> (Accepted, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Accepted { stream: near.into(), peer: peer.parse().unwrap() }, far)
    }

    #[test]
    fn a_connection_arrives_with_its_peer_and_outlives_the_sender() {
        let channel = Channel::new().unwrap();
        for peer in ["127.0.0.1:80", "[2001:db8::1]:65535"] {
            let (accepted, mut far) = connection(peer);
            channel.pass(&accepted).unwrap();
            drop(accepted);
            assert_eq!(channel.len().unwrap(), 1);
            let taken = channel.take().unwrap().unwrap();
            assert_eq!(taken.peer, peer.parse().unwrap());
            UnixStream::from(taken.stream).write_all(b"x").unwrap();
            far.read_exact(&mut [0]).unwrap();
        }
        assert!(channel.take().unwrap().is_none());
        assert_eq!(channel.len().unwrap(), 0);
    }

    #[test]
    fn a_nudge_is_not_a_connection() {
        let channel = Channel::new().unwrap();
        channel.nudge();
        assert!(matches!(receive(channel.exit(), true).unwrap(), Message::Nudge));
        channel.nudge();
        assert!(channel.take().unwrap().is_none());
    }
}
