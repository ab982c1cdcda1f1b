//! The sink: the socket to which a stop leads every new connection, so that none enters a queue that is about to close.
//!
//! It needs no privilege (a socket filter needs CAP_NET_ADMIN). The sink is bound with the instance's sockets and joins
//! their reuseport group only when a stop begins: then it listens, and a program on the group picks it for every SYN.
//! Handshakes that had begun belong to the socket that they began on, and go on there; so do those that the kernel
//! remembers in a SYN cookie alone. Nothing is ever accepted from the sink, and two things keep its queue closed:
//! - it drops what has passed a router or comes from a host whose packets begin with a time to live below 255, as nearly
//!   all do (IP_MINTTL, IPV6_MINHOPCOUNT);
//! - one connection of our own, the plug, fills its queue, which holds one (`listen(0)`). It is also the proof that the
//!   program leads to the sink.
//!
//! A SYN that is dropped is sent again by the client, who hears "connection refused" as soon as all sockets are closed.
//! It knows nothing of workers or phases.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, poll};
use socket2::{Domain, SockRef, Socket, Type};

use super::socket::{self, Terms};
use crate::sys::bpf::statement;
use crate::sys::net::{self, MOST_HOPS};
use crate::sys::sockdiag::SockDiag;

/// The plug takes a few microseconds over loopback; where it does not arrive at all, a stop waits no longer than this.
const PLUG_MS: u16 = 100;

/// A socket that is bound like those of an instance, and listens only during a stop.
#[derive(Debug)]
pub struct Sink {
    // Closed first: the plugs end with it, and leave nothing in TIME_WAIT.
    socket: OwnedFd,
    address: SocketAddr,
    plugs: Vec<Socket>,
    /// Sockets in its group when it joined.
    others: usize,
}

impl Sink {
    /// Binds it beside the sockets of an instance; by the same user, or it could not join them.
    ///
    /// # Errors
    /// Those of bind(2); the kernel has no programs for reuseport groups, or no least time to live.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let bind = || socket::placeholder(address, Terms { backlog: 0, defer_accept_s: 0 });
        // Told now rather than at the stop; by another socket, since one with a program joins no group.
        net::choose_by_program(bind()?.as_fd(), &mut program(0))?;
        let socket = bind()?;
        net::set_least_hops(socket.as_fd(), MOST_HOPS)?;
        Ok(Self { socket, address, plugs: Vec::new(), others: 0 })
    }

    /// The sink of an earlier program of this process, by its socket and the address that it is bound to.
    pub fn inherit(socket: OwnedFd, address: SocketAddr) -> Self {
        Self { socket, address, plugs: Vec::new(), others: 0 }
    }

    /// A copy of its socket, before it has led anything to it.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Leads new connections to the sink from now on. `known` is how many sockets its group has, for want of a better number.
    /// Returns whether that is proved.
    ///
    /// # Errors
    /// Those of listen(2) and setsockopt(2).
    pub fn divert(&mut self, known: usize) -> io::Result<bool> {
        SockRef::from(&self.socket).listen(0)?;
        // It has joined as the last. Sockets that workers have opened themselves are in the group, and one that was shut
        // down is not: the kernel knows best.
        let counted = self.listening().map_or(known, |listening| listening.saturating_sub(1));
        for others in [counted, known] {
            net::choose_by_program(self.socket.as_fd(), &mut program(others))?;
            self.others = others;
            if self.is_plugged() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks at the group again: whether no other socket listens any more. The last of a group takes the place of one that leaves
    /// it; so when others have left, the sink leaves as well and comes back as the last.
    ///
    /// # Errors
    /// Those of sock_diag(7), and of [`divert`](Self::divert).
    pub fn is_alone(&mut self) -> io::Result<bool> {
        let others = self.listening()?.saturating_sub(1);
        if 0 < others && others < self.others {
            SockRef::from(&self.socket).shutdown(std::net::Shutdown::Both)?;
            self.plugs.clear();
            self.divert(others)?;
        }
        Ok(others == 0)
    }

    fn listening(&self) -> io::Result<usize> {
        Ok(SockDiag::open()?.queues(self.address)?.len())
    }

    /// Fills the queue, unless it is full.
    fn is_plugged(&mut self) -> bool {
        let mut queue = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let mut is_full = |wait: u16| poll(&mut queue, wait).is_ok_and(|ready| ready > 0);
        is_full(0)
            || ways_to(self.address).into_iter().any(|address| {
                self.plugs.extend(plug(address));
                is_full(PLUG_MS)
            })
    }
}

/// Begins a connection that the sink does not drop.
fn plug(address: SocketAddr) -> Option<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).ok()?;
    let hops = MOST_HOPS.cast_unsigned();
    if address.is_ipv4() { socket.set_ttl_v4(hops) } else { socket.set_unicast_hops_v6(hops) }.ok()?;
    socket.set_nonblocking(true).ok()?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => None,
        _ => Some(socket),
    }
}

/// Where a socket with this address is reached from here.
fn ways_to(address: SocketAddr) -> Vec<SocketAddr> {
    let port = address.port();
    match address.ip().to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![(Ipv4Addr::LOCALHOST, port).into()],
        // The second where this host has no IPv6 address at all.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()]
        }
        IpAddr::V4(ip) => vec![(ip, port).into()],
        IpAddr::V6(_) => vec![address],
    }
}

/// A SYN is for the socket after `others`, which is the sink; the end of a handshake that the kernel remembers in a SYN
/// cookie is for any of the others. No other segment is led by a program.
fn program(others: usize) -> [libc::sock_filter; 13] {
    use libc::{
        BPF_A, BPF_ABS, BPF_ALU, BPF_B, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MOD,
        BPF_MSH, BPF_RET, BPF_W,
    };
    const IPV4: u32 = 0x0800;
    const IPV6_BYTES: i32 = 40;
    const NEXT_HEADER: i32 = 6;
    const FLAGS: i32 = 13;
    const SYN: u32 = 0x02;
    const TCP: u32 = libc::IPPROTO_TCP as u32;
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let at = |offset: i32| (libc::SKF_NET_OFF + offset).cast_unsigned();
    let beside = |what: i32| (libc::SKF_AD_OFF + what).cast_unsigned();
    [
        statement(BPF_LD | BPF_W | BPF_ABS, 0, 0, beside(libc::SKF_AD_PROTOCOL)),
        statement(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, IPV4),
        // The TCP header comes after an IPv4 header of variable length,
        statement(BPF_LDX | BPF_B | BPF_MSH, 0, 0, at(0)),
        statement(BPF_LD | BPF_B | BPF_IND, 0, 0, at(FLAGS)),
        statement(BPF_JMP | libc::BPF_JA, 0, 0, 3),
        // or after the IPv6 header. What has other headers in between counts as a SYN.
        statement(BPF_LD | BPF_B | BPF_ABS, 0, 0, at(NEXT_HEADER)),
        statement(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, TCP),
        statement(BPF_LD | BPF_B | BPF_ABS, 0, 0, at(IPV6_BYTES + FLAGS)),
        statement(BPF_JMP | BPF_JSET | BPF_K, 0, 1, SYN),
        statement(BPF_RET | BPF_K, 0, 0, others),
        statement(BPF_LD | BPF_W | BPF_ABS, 0, 0, beside(libc::SKF_AD_RANDOM)),
        statement(BPF_ALU | BPF_MOD | BPF_K, 0, 0, others.max(1)),
        statement(BPF_RET | BPF_A, 0, 0, 0),
    ]
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
