//! Listening sockets: bound so that exactly one start wins the port, and taken out of service without a loss.
//!
//! The first socket of an instance is bound *without* SO_REUSEPORT, so that any other listener on the port is
//! EADDRINUSE, a reuseport group of the same user's included; it gets SO_REUSEPORT once it listens. Its siblings bind
//! with it. All have SO_REUSEADDR (connections in TIME_WAIT do not hold the port), TCP_NODELAY and
//! TCP_NOTSENT_LOWAT (both inherited by what is accepted) and TCP_DEFER_ACCEPT (a quick client's request is there when
//! `accept()` returns).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Socket, Type};

use super::address::Address;
use super::unix::is_unix;
use super::{Accepted, Acceptor};
use crate::scoreboard::{Row, add};
use crate::sys::net;
use crate::sys::signal::Interruptible;

/// How an instance's listening sockets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Length of the accept queue.
    pub backlog: u32,
    /// Seconds that a connection without data is kept from the accept queue; 0 is not at all. 1 ends after about 1.02 s,
    /// more are rounded up to 3, 7, 15...
    pub defer_accept_s: u32,
}

/// This many bytes that were not sent yet wait in the kernel at most (TCP_NOTSENT_LOWAT of tcp(7)); who writes more waits. A slow
/// reader thus costs no more memory and no more copying than this, where segments are large also: over loopback a send buffer
/// begins with 2.5 MB. What is on its way to the client does not count, so no quick reader waits for the server.
const MOST_UNSENT: u32 = 128 << 10;

impl Default for Terms {
    fn default() -> Self {
        Self { backlog: 4096, defer_accept_s: 1 }
    }
}

/// Binds the first socket of an instance and listens.
///
/// # Errors
/// `AddrInUse` when another socket listens on the port; `PermissionDenied` for a privileged one; others of bind(2).
pub fn first(address: SocketAddr, terms: Terms) -> io::Result<OwnedFd> {
    let socket = unbound(address, terms)?;
    listen(&socket, address, terms)?;
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

/// Binds one more socket into the reuseport group of [`first`], at the address it got.
///
/// # Errors
/// Those of bind(2).
pub fn sibling(address: SocketAddr, terms: Terms) -> io::Result<OwnedFd> {
    let socket = unbound(address, terms)?;
    socket.set_reuse_port(true)?;
    listen(&socket, address, terms)?;
    Ok(socket.into())
}

/// Sets up a listening socket that a service manager has bound like one of ours: queue length, options, blocking.
///
/// # Errors
/// It is not a listening TCP or unix socket; those of setsockopt(2) and listen(2).
pub fn adopt(socket: BorrowedFd<'_>, terms: Terms) -> io::Result<()> {
    let known = socket2::SockRef::from(&socket);
    let is_stream = known.r#type().is_ok_and(|kind| kind == Type::STREAM);
    if !is_stream || bound_to(socket).is_err() || !known.is_listener()? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a listening TCP or unix socket"));
    }
    known.set_nonblocking(false)?;
    if !is_unix(socket) {
        known.set_tcp_nodelay(true)?;
        known.set_tcp_notsent_lowat(MOST_UNSENT)?;
        set_defer_accept(socket, terms)?;
    }
    known.listen(i32::try_from(terms.backlog).unwrap_or(i32::MAX))
}

/// A socket that has the address like a [`sibling`] and does not listen: the port is taken as long as it is open, and the
/// group gets no member until [`open_queue`].
///
/// # Errors
/// Those of bind(2).
pub fn placeholder(address: SocketAddr, terms: Terms) -> io::Result<OwnedFd> {
    let socket = unbound(address, terms)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    // A socket with SO_REUSEADDR that does not listen would let others bind the port and listen.
    socket.set_reuse_address(false)?;
    Ok(socket.into())
}

/// A [`placeholder`] becomes a [`sibling`]: it listens, and connections come to it.
///
/// # Errors
/// Those of listen(2).
pub fn open_queue(socket: BorrowedFd<'_>, terms: Terms) -> io::Result<()> {
    let known = socket2::SockRef::from(&socket);
    // Connections inherit it: without, one in TIME_WAIT would keep the next start from the port.
    known.set_reuse_address(true)?;
    known.listen(i32::try_from(terms.backlog).unwrap_or(i32::MAX))
}

fn unbound(address: SocketAddr, terms: Terms) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(MOST_UNSENT)?;
    set_defer_accept(socket.as_fd(), terms)?;
    Ok(socket)
}

/// Applies new terms to a socket that is in use. A [`placeholder`] does not listen, and must not begin to.
///
/// # Errors
/// Those of setsockopt(2) and listen(2).
pub fn change(socket: BorrowedFd<'_>, terms: Terms) -> io::Result<()> {
    if !is_unix(socket) {
        set_defer_accept(socket, terms)?;
    }
    let known = socket2::SockRef::from(&socket);
    if known.is_listener()? {
        // On a socket that listens already it changes the length of the queue, and nothing else.
        known.listen(i32::try_from(terms.backlog).unwrap_or(i32::MAX))?;
    }
    Ok(())
}

fn set_defer_accept(socket: BorrowedFd<'_>, terms: Terms) -> io::Result<()> {
    net::set_defer_accept(socket, i32::try_from(terms.defer_accept_s).unwrap_or(i32::MAX))
}

fn listen(socket: &Socket, address: SocketAddr, terms: Terms) -> io::Result<()> {
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(terms.backlog).unwrap_or(i32::MAX))
}

/// Address and port that a socket is bound to.
///
/// # Errors
/// Those of getsockname(2).
pub fn local_address(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let address = socket2::SockRef::from(&socket).local_addr()?;
    address.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What a socket is bound to. The path of an abstract unix socket begins with an @ (unix(7)).
///
/// # Errors
/// Those of getsockname(2); `InvalidData` for another kind of address.
pub fn bound_to(socket: BorrowedFd<'_>) -> io::Result<Address> {
    let address = socket2::SockRef::from(&socket).local_addr()?;
    if let Some(ip) = address.as_socket() {
        return Ok(Address::Ip(ip));
    }
    let path = match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name).replace('\0', "@")).into(),
        (None, None) => return Err(io::ErrorKind::InvalidData.into()),
    };
    Ok(Address::Unix(path))
}

/// Handshakes on `port` that are under way (SYN received, or held back by TCP_DEFER_ACCEPT), from /proc/net/tcp{,6}.
///
/// # Errors
/// The files cannot be read.
pub fn half_open(port: u16) -> io::Result<usize> {
    const SYN_RECV: &str = "03";
    let mut count = 0;
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no tcp6.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let local_port = format!(":{port:04X}");
        count += text
            .lines()
            .filter(|line| {
                let mut fields = line.split_ascii_whitespace().skip(1);
                fields.next().is_some_and(|local| local.ends_with(&local_port))
                    && fields.nth(1) == Some(SYN_RECV)
            })
            .count();
    }
    Ok(count)
}

/// Blocking accept, as the strategies do it. A signal, and an [alias](crate::sys::signal::Interruptible) that a signal has
/// replaced, are both `Interrupted`. Waits also on a socket that another process has made non-blocking.
///
/// # Errors
/// `Interrupted`, and those of accept4(2).
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<Accepted> {
    loop {
        match net::accept(listener) {
            Ok((stream, peer)) => return Ok(Accepted { stream, peer }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_readable(listener)?,
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Accepts from a non-blocking socket without waiting; `None` when there is nothing.
///
/// # Errors
/// Those of accept4(2).
pub fn take(listener: BorrowedFd<'_>) -> io::Result<Option<Accepted>> {
    match net::accept(listener) {
        Ok((stream, peer)) => Ok(Some(Accepted { stream, peer })),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether accept() failed because shutdown(2) was called on the socket. It will not listen again.
pub fn was_shut_down(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// A worker leaves out one of several sockets.
pub(super) fn tell_shut_down() {
    tracing::error!("a listening socket was shut down; it gets no connections until the instance restarts");
}

/// The worker's side of every strategy whose workers block in accept() on one socket.
#[derive(Debug)]
pub struct Blocking {
    listener: Interruptible,
}

impl Blocking {
    /// Accepts from `listener`.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn acceptor(listener: BorrowedFd<'_>) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(Self { listener: Interruptible::new(listener)? }))
    }
}

impl Acceptor for Blocking {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        let accepted = accept(self.listener.as_fd());
        add(&row.wakeups, 1);
        accepted
    }
}

/// Waits until `fd` is readable; `Interrupted` after a signal.
fn wait_readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::NONE)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn any() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    #[test]
    fn a_second_start_on_the_port_is_refused_and_a_sibling_is_not() {
        let first_socket = first(any(), Terms::default()).unwrap();
        let address = local_address(first_socket.as_fd()).unwrap();
        assert_eq!(first(address, Terms::default()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let sibling_socket = sibling(address, Terms::default()).unwrap();
        assert_eq!(local_address(sibling_socket.as_fd()).unwrap(), address);
        assert_eq!(first(address, Terms::default()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_placeholder_keeps_the_port_alone_and_lets_siblings_in() {
        let first_socket = first(any(), Terms::default()).unwrap();
        let address = local_address(first_socket.as_fd()).unwrap();
        let placeholder = placeholder(address, Terms::default()).unwrap();
        drop(first_socket);
        assert_eq!(first(address, Terms::default()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        sibling(address, Terms::default()).unwrap();
        drop(placeholder);
        first(address, Terms::default()).unwrap();
    }

    #[test]
    fn a_foreign_reuseport_group_is_not_joined() {
        let foreign = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        foreign.set_reuse_port(true).unwrap();
        foreign.bind(&any().into()).unwrap();
        foreign.listen(1).unwrap();
        let address = foreign.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(first(address, Terms::default()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
