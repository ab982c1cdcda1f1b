//! The sockets of the engine: how a connection is made, used and given up. What its bytes mean is `slot`'s business.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use nix::sys::socket::{MsgFlags, SockFlag, SockType, bind, connect, recv, send, setsockopt, socket};

use super::Engine;
use super::slot::Step;
use crate::sys::client::total_retransmits;
use crate::sys::clock::monotonic_ns;

/// A connection that took longer than this may have lost a SYN, in ns. The first is sent again after 1 s: below that
/// the kernel need not be asked.
const SYN_LOST_NS: u64 = 900_000_000;
/// A connection that was idle for longer than this is looked at before it is used, in ns. One that was not is in the
/// middle of a conversation: if the server closes it just then, the request on it has met that.
const STALE_NS: u64 = 1_000_000;
/// Reads of one connection before the others have their turn: a server that sends without end must not keep the
/// thread from its schedule and its time-outs. What is left is reported again.
const MOST_READS: usize = 8;

/// What is waited for on a socket whose request has been sent, or has not.
fn interest(sent: bool) -> EpollFlags {
    let read = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
    if sent { read } else { read | EpollFlags::EPOLLOUT }
}

impl Engine<'_> {
    /// Connects and sends. On a local network the connection stands when `connect` returns, so that the request can
    /// be sent at once; elsewhere `send` says EAGAIN, and epoll tells when.
    pub(super) fn open(&mut self, index: usize) -> io::Result<()> {
        let request = self.request(index);
        let connection = &mut self.connections[index];
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = connection.socket.insert(socket(self.family, SockType::Stream, flags, None)?);
        self.open += 1;
        if !self.sources.is_empty() {
            // The port is left to `connect`, which knows the peer: so one port serves several peers.
            setsockopt(&*socket, IpBindAddressNoPort, &true)?;
            bind(socket.as_raw_fd(), &self.sources[self.next_source % self.sources.len()])?;
            self.next_source = self.next_source.wrapping_add(1);
        }
        match connect(socket.as_raw_fd(), &self.address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let returned = monotonic_ns();
        match send(socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => {
                connection.slot.connect(returned);
                let _ = connection.slot.sent(sent, returned);
            }
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        let event = EpollEvent::new(interest(connection.slot.unsent() == 0), index as u64);
        self.waiter.epoll().add(&*socket, event)?;
        if connection.slot.is_connected() {
            self.connected(index);
        }
        Ok(())
    }

    /// Counts a connection that stands.
    fn connected(&mut self, index: usize) {
        self.connected_once = true;
        let connection = &self.connections[index];
        let timestamps = connection.slot.timestamps();
        let lost = match &connection.socket {
            Some(socket) if timestamps.connected - timestamps.started > SYN_LOST_NS => {
                total_retransmits(socket.as_fd()).unwrap_or(0)
            }
            _ => 0,
        };
        self.recorder.tally(connection.slot.is_counted(), timestamps.connected).connections.open(lost);
    }

    /// Sends on a connection that stands already.
    pub(super) fn send_kept(&mut self, index: usize) -> io::Result<()> {
        let request = self.request(index);
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else { return Ok(()) };
        match send(socket.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => {
                let _ = connection.slot.sent(sent, connection.slot.timestamps().started);
            }
            Err(Errno::EAGAIN) => {}
            // The end is there to be read: epoll reports it.
            Err(Errno::EPIPE | Errno::ECONNRESET) => connection.slot.cut(),
            Err(error) => return Err(error.into()),
        }
        if connection.slot.unsent() > 0 {
            self.waiter.epoll().modify(socket, &mut EpollEvent::new(interest(false), index as u64))?;
        }
        Ok(())
    }

    pub(super) fn on_event(&mut self, index: usize, flags: EpollFlags) {
        if self.connections[index].slot.unsent() > 0
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

    /// Goes on sending. An error before the connection stands is one of connecting; afterwards the response, which
    /// may have come before the whole request was sent, decides.
    fn send_rest(&mut self, index: usize) -> io::Result<()> {
        let request = self.request(index);
        let connection = &mut self.connections[index];
        let Some(socket) = &connection.socket else { return Ok(()) };
        let from = request.len() - connection.slot.unsent();
        let stood = connection.slot.is_connected();
        let mut step = Step::Wait;
        match send(socket.as_raw_fd(), &request[from..], MsgFlags::MSG_NOSIGNAL) {
            Ok(sent) => {
                let now = monotonic_ns();
                connection.slot.connect(now);
                step = connection.slot.sent(sent, now);
            }
            Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET) if stood => connection.slot.cut(),
            Err(error) => return Err(error.into()),
        }
        if connection.slot.unsent() == 0 {
            self.waiter.epoll().modify(socket, &mut EpollEvent::new(interest(true), index as u64))?;
        }
        if !stood {
            self.connected(index);
        }
        self.follow(index, step);
        Ok(())
    }

    /// Reads what is there. When the peer's end has been announced with the data, a read that does not fill the
    /// buffer was the last one: it need not be asked again.
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
            // Answered and kept open by us, but the server has ended it without a word.
            if step == (Step::Complete { keep: true }) && flags.contains(EpollFlags::EPOLLRDHUP) {
                self.lose(index);
            }
            return;
        }
    }

    /// Events of connections that nothing is on: the server has closed them, or has sent what was not asked for. They
    /// are given up before any request is sent on one of them.
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

    /// Gives up the connection of a slot if it was idle for long and is not open any more.
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
            // As dropping it would, but for a check that costs a system call where debug assertions are on.
            let _ = nix::unistd::close(socket);
        }
    }
}
