//! The sockets of one port, as the kernel shows them to any user: accept queues of listening sockets, and open
//! connections. sock_diag(7) over netlink.
//!
//! Only one port is queried, and no closed connections (TIME_WAIT), so the answer is short. The network namespace is
//! that of the thread that opens the socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
const ANSWER_BYTES: usize = HEADER_BYTES + 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const LISTEN: u32 = 1 << 10;
/// ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK and CLOSING: states in which a process may hold the
/// connection.
const CONNECTED: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
/// More than the kernel puts into one datagram of a dump.
const BUFFER_BYTES: usize = 64 << 10;

/// The accept queue of one listening socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Waiting connections.
    pub waiting: u32,
    /// The backlog that the kernel granted.
    pub limit: u32,
    /// Inode of the socket; usually increases with the time of creation.
    pub inode: u32,
}

/// A connection that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Inode of the socket.
    pub inode: u32,
    /// The port of the other end.
    pub port: u16,
    /// Bytes that have arrived and were not read.
    pub unread: u32,
}

/// What the kernel tells of a socket: of a listening one `used` is the length of its queue and `limit` the backlog, of a
/// connection they are the bytes not read and not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Told {
    inode: u32,
    port: u16,
    used: u32,
    limit: u32,
}

/// A netlink socket.
#[derive(Debug)]
pub struct SockDiag {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

impl SockDiag {
    /// Opens it. No privilege is needed.
    ///
    /// # Errors
    /// Those of socket(2): a kernel without `CONFIG_INET_DIAG`.
    pub fn open() -> io::Result<Self> {
        let protocol = SockProtocol::NetlinkSockDiag;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(Self { socket, buffer: vec![0; BUFFER_BYTES], sequence: 0 })
    }

    /// The queues of all sockets that listen on `address`, or on its port and any address, by inode.
    ///
    /// # Errors
    /// Those of send(2) and recv(2), and what the kernel answers instead of a list (`ENOENT` without `INET_DIAG`).
    pub fn queues(&mut self, address: SocketAddr) -> io::Result<Vec<Queue>> {
        let told = self.sockets(address, LISTEN)?.into_iter();
        Ok(told.map(|Told { inode, used, limit, .. }| Queue { waiting: used, limit, inode }).collect())
    }

    /// The connections that came in on `address` and that some process has open.
    ///
    /// # Errors
    /// As [`Self::queues`].
    pub fn connections(&mut self, address: SocketAddr) -> io::Result<Vec<Connection>> {
        let told = self.sockets(address, CONNECTED)?.into_iter().filter(|told| told.inode != 0);
        Ok(told.map(|Told { inode, port, used, .. }| Connection { inode, port, unread: used }).collect())
    }

    fn sockets(&mut self, address: SocketAddr, states: u32) -> io::Result<Vec<Told>> {
        self.sequence = self.sequence.wrapping_add(1);
        send(self.socket.as_raw_fd(), &request(address, states, self.sequence), MsgFlags::empty())?;
        let mut sockets = Vec::new();
        loop {
            let n = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT)?;
            if parse(&self.buffer[..n], address.ip(), self.sequence, &mut sockets)? {
                sockets.sort_unstable_by_key(|told| told.inode);
                return Ok(sockets);
            }
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(address: SocketAddr, states: u32, sequence: u32) -> [u8; REQUEST_BYTES] {
    let mut bytes = [0; REQUEST_BYTES];
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    bytes[0..4].copy_from_slice(&(REQUEST_BYTES as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes[16] = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    bytes[17] = libc::IPPROTO_TCP as u8;
    bytes[20..24].copy_from_slice(&states.to_ne_bytes());
    bytes[24..26].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

/// Reads the messages of one datagram; whether the last one was among them.
fn parse(mut bytes: &[u8], ip: IpAddr, sequence: u32, sockets: &mut Vec<Told>) -> io::Result<bool> {
    let word = |at: &[u8]| u32::from_ne_bytes([at[0], at[1], at[2], at[3]]);
    while bytes.len() >= HEADER_BYTES {
        let length = word(bytes) as usize;
        let kind = i32::from(u16::from_ne_bytes([bytes[4], bytes[5]]));
        if length < HEADER_BYTES || length > bytes.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let message = &bytes[..length];
        // An answer to an earlier question that failed half-way is passed over.
        if word(&message[8..]) == sequence {
            match kind {
                libc::NLMSG_DONE => return Ok(true),
                libc::NLMSG_ERROR if length >= HEADER_BYTES + 4 => {
                    let errno = word(&message[HEADER_BYTES..]).cast_signed();
                    return Err(io::Error::from_raw_os_error(-errno));
                }
                _ if length >= ANSWER_BYTES => {
                    let body = &message[HEADER_BYTES..];
                    if listens_on(&body[8..24], body[0], ip) {
                        let port = u16::from_be_bytes([body[6], body[7]]);
                        let (used, limit) = (word(&body[56..]), word(&body[60..]));
                        sockets.push(Told { inode: word(&body[68..]), port, used, limit });
                    }
                }
                _ => {}
            }
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    Ok(false)
}

/// Whether a socket that is bound to `source` gets what is sent to `ip`.
fn listens_on(source: &[u8], family: u8, ip: IpAddr) -> bool {
    let length = if i32::from(family) == libc::AF_INET { 4 } else { 16 };
    let own: &[u8] = match &ip {
        IpAddr::V4(ip) => &ip.octets(),
        IpAddr::V6(ip) => &ip.octets(),
    };
    let source = &source[..length];
    source == own || source.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn eventually(condition: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !condition() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }

    #[test]
    fn connections_that_nobody_accepts_are_seen_in_the_queue() {
        for bind in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let mut address = listener.local_addr().unwrap();
            if address.ip().is_unspecified() {
                address.set_ip([127, 0, 0, 1].into());
            }
            let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
            eventually(|| SockDiag::open().unwrap().queues(address).unwrap()[0].waiting == 5);
            let mut diag = SockDiag::open().unwrap();
            drop(listener.accept().unwrap());
            let queues = diag.queues(address).unwrap();
            assert_eq!((queues.len(), queues[0].waiting), (1, 4), "{bind}");
            assert!(queues[0].limit > 0, "{bind}: {queues:?}");
            drop((clients, listener));
            assert_eq!(diag.queues(address).unwrap(), []);
        }
    }

    #[test]
    fn every_socket_of_a_reuseport_group_has_its_own_queue() {
        let make = |port: u16| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
            socket.listen(64).unwrap();
            socket
        };
        let first = make(0);
        let address = first.local_addr().unwrap().as_socket().unwrap();
        let _others = [make(address.port()), make(address.port())];
        let _clients: Vec<_> = (0..12).map(|_| TcpStream::connect(address).unwrap()).collect();
        let queues = || SockDiag::open().unwrap().queues(address).unwrap();
        eventually(|| queues().iter().map(|queue| queue.waiting).sum::<u32>() == 12);
        assert!(queues().len() == 3 && queues().iter().all(|queue| queue.limit == 64), "{:?}", queues());
    }

    #[test]
    fn another_address_on_the_same_port_is_another_listener() {
        let Ok(listener) = TcpListener::bind("127.0.0.2:0") else { return };
        let mut address = listener.local_addr().unwrap();
        assert_eq!(SockDiag::open().unwrap().queues(address).unwrap().len(), 1);
        address.set_ip([127, 0, 0, 3].into());
        assert_eq!(SockDiag::open().unwrap().queues(address).unwrap(), []);
    }

    #[test]
    fn answers_that_are_cut_off_are_refused_not_believed() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let mut message = request(SocketAddr::new(ip, 1), LISTEN, 7).to_vec();
        assert!(!parse(&message, ip, 7, &mut Vec::new()).unwrap());
        assert!(parse(&message[..20], ip, 7, &mut Vec::new()).is_err());
        message[4..6].copy_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        message[16..20].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        let error = parse(&message, ip, 7, &mut Vec::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert!(!parse(&message, ip, 8, &mut Vec::new()).unwrap());
    }
}
