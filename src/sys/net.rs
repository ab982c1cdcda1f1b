//! Socket calls that socket2 and nix lack, or offer only with an extra system call.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{self, MsgFlags, setsockopt, sockopt};
use socket2::{SockAddr, SockRef};

use super::cerr;

/// Accepts one connection with its peer's address; the new descriptor is close-on-exec and blocking.
///
/// # Errors
/// Those of `accept4(2)`.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `storage` and `len` are valid for writing, and `len` says how much room there is.
    let fd = cerr(unsafe {
        libc::accept4(listener.as_raw_fd(), storage.as_mut_ptr().cast(), &raw mut len, libc::SOCK_CLOEXEC)
    })?;
    // SAFETY: a new descriptor without another owner.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: zeroed at first, then filled by the kernel: initialised either way.
    Ok((fd, address(unsafe { storage.assume_init_ref() })))
}

/// Tests whether accept4(2) is allowed here.
///
/// # Errors
/// A sandbox refuses accept4(2).
pub fn try_accept() -> io::Result<()> {
    // SAFETY: no memory is passed, and there is no such descriptor.
    match cerr(unsafe { libc::accept4(-1, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC) }) {
        Err(error) if super::is_refused(&error) => Err(error),
        _ => Ok(()),
    }
}

/// The IP address and port in a socket address; an IPv4-mapped IPv6 address becomes IPv4.
pub(super) fn address(storage: &libc::sockaddr_storage) -> SocketAddr {
    let any = std::ptr::from_ref(storage);
    if i32::from(storage.ss_family) == libc::AF_INET6 {
        // SAFETY: the family says that this is a sockaddr_in6, which fits into the storage.
        let v6 = unsafe { &*any.cast::<libc::sockaddr_in6>() };
        let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical();
        return SocketAddr::new(ip, u16::from_be(v6.sin6_port));
    }
    // SAFETY: sockaddr_in fits into the storage, and all of it is initialised.
    let v4 = unsafe { &*any.cast::<libc::sockaddr_in>() };
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))), u16::from_be(v4.sin_port))
}

fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &impl Sized) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which the kernel only reads.
    cerr(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of_val(value) as libc::socklen_t,
        )
    })
    .map(drop)
}

/// `TCP_DEFER_ACCEPT`: a connection reaches the accept queue with its first bytes, or after about `seconds`.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_defer_accept(listener: BorrowedFd<'_>, seconds: i32) -> io::Result<()> {
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &seconds)
}

/// `TCP_USER_TIMEOUT`: a connection ends when no sent data is acknowledged for this many ms (0: the system's longer
/// rules). Accepted connections inherit it.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_user_timeout(socket: BorrowedFd<'_>, ms: u32) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::TcpUserTimeout, &ms)?)
}

/// The greatest time to live (IPv4) or hop limit (IPv6) of a packet.
pub const MOST_HOPS: i32 = 255;

/// `IP_MINTTL` and `IPV6_MINHOPCOUNT`: the socket drops packets that arrive with less (0: none). Packets of a handshake
/// under way are accepted all the same; the resulting connection inherits the bound.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_least_hops(socket: BorrowedFd<'_>, hops: i32) -> io::Result<()> {
    // An IPv6 socket may also receive IPv4 packets; an IPv4 socket does not have the other option.
    set_option(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &hops)?;
    match set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &hops) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        set => set,
    }
}

/// Attaches a classic BPF program that chooses among the sockets of a reuseport group, by the order in which they began
/// to listen; an index beyond the last leaves the choice to the kernel's hash. Any member will do, and a later program
/// replaces it.
///
/// # Errors
/// Those of `setsockopt(2)`: `EINVAL` for an invalid program, or a socket outside of any group.
pub fn choose_by_program(member: BorrowedFd<'_>, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    Ok(setsockopt(&member, sockopt::AttachReusePortCbpf, &filter)?)
}

/// `SO_LOCK_FILTER`: from now on no program can be attached through this member of a group (`EPERM`). This cannot be
/// undone.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn lock_program(member: BorrowedFd<'_>) -> io::Result<()> {
    /// As in asm-generic/socket.h; the libc crate lacks it.
    const SO_LOCK_FILTER: i32 = 44;
    set_option(member, libc::SOL_SOCKET, SO_LOCK_FILTER, &1i32)
}

/// Address and port of the peer, for a connection that was accepted without asking.
///
/// # Errors
/// Those of `getpeername(2)`: `ENOTCONN` if the connection is closed already.
pub fn peer(socket: impl AsFd) -> io::Result<SocketAddr> {
    canonical(SockRef::from(&socket.as_fd()).peer_addr()?)
}

/// Address and port of this side.
///
/// # Errors
/// Those of `getsockname(2)`.
pub fn local(socket: impl AsFd) -> io::Result<SocketAddr> {
    canonical(SockRef::from(&socket.as_fd()).local_addr()?)
}

/// An IPv4-mapped IPv6 address becomes IPv4. The peer of a unix socket has none, which is all zero, as [`accept`] has it.
fn canonical(address: SockAddr) -> io::Result<SocketAddr> {
    if address.is_unix() {
        return Ok((Ipv4Addr::UNSPECIFIED, 0).into());
    }
    let address = address.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Sets or clears `O_NONBLOCK`. It belongs to the open file description, so everyone who shares the socket is affected.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let before = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let flags = if on { before | OFlag::O_NONBLOCK } else { before - OFlag::O_NONBLOCK };
    if flags != before {
        fcntl(fd, FcntlArg::F_SETFL(flags))?;
    }
    Ok(())
}

/// Whether there is something to read or accept now; for a pidfd, whether its process has ended.
///
/// # Errors
/// Those of `poll(2)`.
pub fn readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    Ok(poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO)? > 0)
}

/// Bytes that are in a pipe or socket and have not been read (`FIONREAD`), in all messages if it has messages.
///
/// # Errors
/// Those of `ioctl(2)`.
pub fn unread(fd: BorrowedFd<'_>) -> io::Result<usize> {
    bytes_in(fd, libc::FIONREAD)
}

/// Bytes that were sent through a socket and that its peer has not taken (`SIOCOUTQ`), with the kernel's overhead for a unix socket.
///
/// # Errors
/// Those of `ioctl(2)`.
pub fn untaken(socket: BorrowedFd<'_>) -> io::Result<usize> {
    bytes_in(socket, libc::TIOCOUTQ)
}

fn bytes_in(fd: BorrowedFd<'_>, queue: libc::Ioctl) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: both requests write one int to a live local.
    cerr(unsafe { libc::ioctl(fd.as_raw_fd(), queue, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Reads without blocking (`WouldBlock`), whatever mode the socket is in. 0 means end of file.
///
/// # Errors
/// Those of `recv(2)`.
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(socket::recv(socket.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
}

/// Like [`recv`], but discards the data: TCP drops up to the size of `buffer` without copying it (tcp(7), MSG_TRUNC).
///
/// # Errors
/// Those of `recv(2)`.
pub fn discard(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    Ok(socket::recv(socket.as_fd().as_raw_fd(), buffer, flags)?.min(buffer.len()))
}

/// Sends what fits, without blocking (`WouldBlock`) and without SIGPIPE, whatever mode the socket is in.
///
/// # Errors
/// Those of `send(2)`.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(socket::send(socket.as_fd().as_raw_fd(), bytes, flags)?)
}

/// Like [`send`], of what more follows at once: a packet need not leave yet (`MSG_MORE`).
///
/// # Errors
/// Those of `send(2)`.
pub fn send_more(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL | MsgFlags::from_bits_retain(libc::MSG_MORE);
    Ok(socket::send(socket.as_fd().as_raw_fd(), bytes, flags)?)
}

/// Shuts down our side (`SHUT_WR`).
///
/// # Errors
/// Those of `shutdown(2)`.
pub fn shutdown_write(socket: impl AsFd) -> io::Result<()> {
    Ok(socket::shutdown(socket.as_fd().as_raw_fd(), socket::Shutdown::Write)?)
}

/// `SO_SNDTIMEO`: a blocked write fails with `EAGAIN` after this time; zero is never.
///
/// # Errors
/// Those of `setsockopt(2)`.
pub fn set_write_timeout(socket: impl AsFd, time: Duration) -> io::Result<()> {
    SockRef::from(&socket).set_write_timeout(Some(time).filter(|time| !time.is_zero()))
}

/// `SO_SNDTIMEO`; `None` is never.
///
/// # Errors
/// Those of `getsockopt(2)`.
pub fn write_timeout(socket: impl AsFd) -> io::Result<Option<Duration>> {
    SockRef::from(&socket).write_timeout()
}

/// Sends all bytes on a blocking socket, and tells the kernel that more follows (`MSG_MORE`): the next bytes go into the same
/// packet.
///
/// # Errors
/// Those of `send(2)`.
pub fn send_with_more(socket: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
        bytes = &bytes[SockRef::from(&socket).send_with_flags(bytes, flags)?..];
    }
    Ok(())
}
