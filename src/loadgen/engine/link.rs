//! The sockets of the engine: connecting, sending, receiving, closing. `slot` interprets the bytes.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::sockopt::{IpBindAddressNoPort, Linger};
use nix::sys::socket::{MsgFlags, SockaddrStorage, bind, getsockname, recv, send, setsockopt};
use socket2::{SockAddr, SockRef, Socket, Type};

use super::slot::Step;
use super::{Connection, Engine};
use crate::loadgen::plan::Peer;
use crate::sys::client::total_retransmits;
use crate::sys::clock::monotonic_ns;

/// A connection that took longer than this may have lost a SYN, in ns. The first retransmission comes after 1 s, so the
/// kernel is not asked below that.
const SYN_LOST_NS: u64 = 900_000_000;
/// A connection that was idle for longer than this is checked before use, in ns. If the server closes a busier one, the
/// request on it fails.
const STALE_NS: u64 = 1_000_000;
/// Reads of one connection before the others get a turn: an endless response must not delay the schedule and timeouts.
/// Epoll reports the rest again.
const MOST_READS: usize = 8;

/// Errors: the path of a Unix socket is too long.
pub(super) fn address(peer: &Peer) -> io::Result<SockAddr> {
    match peer {
        Peer::Ip(address) => Ok((*address).into()),
        Peer::Unix(path) => SockAddr::unix(path),
    }
}

/// The events to wait for, given whether the request has been sent completely.
fn interest(sent: bool) -> EpollFlags {
    let read = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
    if sent { read } else { read | EpollFlags::EPOLLOUT }
}

/// The local port of a connection; 0 without one.
pub(super) fn local_port(socket: Option<&OwnedFd>) -> u16 {
    let name = socket.and_then(|socket| getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok());
    let v4 = name.as_ref().and_then(|name| Some(name.as_sockaddr_in()?.port()));
    v4.or_else(|| Some(name?.as_sockaddr_in6()?.port())).unwrap_or(0)
}

impl Engine<'_> {
    /// Connects and sends. On loopback `connect` completes at once and the request can be sent; elsewhere `send` returns
    /// EAGAIN, and epoll reports when to continue.
    pub(super) fn open(&mut self, index: usize) -> io::Result<()> {
        let Connection { slot, socket: place, sized, number, address: used } = &mut self.connections[index];
        let request = Connection::request(self.plan, slot, sized, *number);
        let address = &self.addresses[self.address];
        *used = self.address;
        let kind = Type::STREAM.nonblocking();
        let socket = place.insert(Socket::new(address.domain(), kind, None)?.into());
        self.open += 1;
        if !self.sources.is_empty() {
            // The port is chosen by `connect`, which knows the peer: one port can serve several peers.
            setsockopt(&*socket, IpBindAddressNoPort, &true)?;
            bind(socket.as_raw_fd(), &self.sources[self.next_source % self.sources.len()])?;
            self.next_source = self.next_source.wrapping_add(1);
        }
        match SockRef::from(&*socket).connect(address) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let returned = monotonic_ns();
        match send(socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => {
                slot.connect(returned);
                let _ = slot.sent(sent, returned);
            }
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        let event = EpollEvent::new(interest(slot.unsent == 0), index as u64);
        self.waiter.epoll().add(&*socket, event)?;
        if slot.is_connected() {
            self.connected(index);
        }
        Ok(())
    }

    fn connected(&mut self, index: usize) {
        self.connected_once = true;
        let connection = &self.connections[index];
        let timestamps = connection.slot.timestamps;
        let lost = match &connection.socket {
            Some(socket) if timestamps.connected - timestamps.started > SYN_LOST_NS => {
                total_retransmits(socket.as_fd()).unwrap_or(0)
            }
            _ => 0,
        };
        self.recorder.tally(connection.slot.counted, timestamps.connected).connections.open(lost);
    }

    pub(super) fn send_kept(&mut self, index: usize) -> io::Result<()> {
        let Connection { slot, socket: Some(socket), sized, number, .. } = &mut self.connections[index]
        else {
            return Ok(());
        };
        let request = Connection::request(self.plan, slot, sized, *number);
        match send(socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => {
                let _ = slot.sent(sent, slot.timestamps.started);
            }
            Err(Errno::EAGAIN) => {}
            // Epoll reports the end.
            Err(Errno::EPIPE | Errno::ECONNRESET) => slot.cut(),
            Err(error) => return Err(error.into()),
        }
        if slot.unsent > 0 {
            self.waiter.epoll().modify(socket, &mut EpollEvent::new(interest(false), index as u64))?;
        }
        Ok(())
    }

    pub(super) fn on_event(&mut self, index: usize, flags: EpollFlags) {
        if self.connections[index].slot.unsent > 0
            && let Err(error) = self.send_rest(index)
        {
            return self.fail_connect(index, &error);
        }
        let readable =
            EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if flags.intersects(readable) && self.connections[index].slot.is_connected() {
            self.receive(index, flags);
        }
    }

    /// Sends the rest. An error while connecting fails the request; after that the response decides, which may have come
    /// before the whole request was sent.
    fn send_rest(&mut self, index: usize) -> io::Result<()> {
        let Connection { slot, socket: Some(socket), sized, number, .. } = &mut self.connections[index]
        else {
            return Ok(());
        };
        let request = Connection::request(self.plan, slot, sized, *number);
        let from = request.len() - slot.unsent;
        let stood = slot.is_connected();
        let mut step = Step::Wait;
        match send(socket.as_raw_fd(), &request[from..], MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => {
                let now = monotonic_ns();
                slot.connect(now);
                step = slot.sent(sent, now);
            }
            Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET) if stood => slot.cut(),
            Err(error) => return Err(error.into()),
        }
        if slot.unsent == 0 {
            self.waiter.epoll().modify(socket, &mut EpollEvent::new(interest(true), index as u64))?;
        }
        if !stood {
            self.connected(index);
        }
        self.follow(index, step);
        Ok(())
    }

    /// Reads what has arrived. If the peer's close was reported with the data, a read that does not fill the buffer is
    /// the last, and another `recv` is saved.
    fn receive(&mut self, index: usize, flags: EpollFlags) {
        for _ in 0..MOST_READS {
            let connection = &mut self.connections[index];
            let Some(socket) = &connection.socket else { return };
            let step = match recv(socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(0) => connection.slot.end(false),
                Ok(bytes) => {
                    let step = connection.slot.receive(&self.buffer[..bytes], monotonic_ns());
                    let is_rest = bytes < self.buffer.len() && !flags.contains(EpollFlags::EPOLLERR);
                    match step {
                        Step::Wait if is_rest && flags.contains(EpollFlags::EPOLLRDHUP) => {
                            connection.slot.end(false)
                        }
                        Step::Wait if is_rest => return,
                        Step::Wait => continue,
                        step => step,
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => continue,
                Err(_) => connection.slot.end(true),
            };
            self.follow(index, step);
            // The response keeps the connection, but the server has closed it.
            if step == (Step::Complete { keep: true }) && flags.contains(EpollFlags::EPOLLRDHUP) {
                self.lose(index);
            }
            return;
        }
    }

    /// Closes idle connections with events: the server has closed them or sent unexpected data. This comes before any
    /// request is sent on one of them.
    pub(super) fn drop_lost(&mut self, events: &mut [EpollEvent]) {
        if self.plan.persistence.requests == 1 {
            return;
        }
        for event in events {
            let index = event.data() as usize;
            if !self.connections[index].slot.is_busy() {
                self.lose(index);
                *event = EpollEvent::new(EpollFlags::empty(), event.data());
            }
        }
    }

    /// Closes the connection of a slot if it was idle for long and the server has closed it.
    pub(super) fn drop_stale(&mut self, index: usize, now: u64) {
        let connection = &self.connections[index];
        let stale = connection.slot.idle_since().is_some_and(|since| now > since + STALE_NS);
        let Some(socket) = connection.socket.as_ref().filter(|_| stale) else { return };
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        if recv(socket.as_raw_fd(), &mut self.buffer[..1], flags) != Err(Errno::EAGAIN) {
            self.lose(index);
        }
    }

    fn lose(&mut self, index: usize) {
        let step = self.connections[index].slot.end(false);
        debug_assert!(matches!(step, Step::Lost | Step::Wait), "{step:?}");
        self.follow(index, step);
    }

    pub(super) fn close(&mut self, index: usize) {
        if let Some(socket) = self.connections[index].socket.take() {
            self.open -= 1;
            // What the peer does not read would keep the socket in the kernel: reset the connection.
            if self.connections[index].slot.unsent > 0 {
                let _ = setsockopt(&socket, Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
            }
            // Unlike drop, this makes no extra system call in builds with debug assertions.
            let _ = nix::unistd::close(socket);
        }
    }
}
