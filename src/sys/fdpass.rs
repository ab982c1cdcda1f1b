//! Passes descriptors through Unix sockets (`SCM_RIGHTS`), and parks them in flight.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// A message carries at most 253 descriptors (unix(7)).
const PER_MESSAGE: usize = 253;

/// Sends at most [`PER_MESSAGE`] descriptors with one byte of data.
///
/// # Errors
/// Those of `sendmsg(2)`; `ETOOMANYREFS` when more are in flight than `RLIMIT_NOFILE` allows.
fn send(socket: &UnixStream, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"f")], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Duplicates the descriptors of the first message and leaves it in the queue (MSG_PEEK); close-on-exec.
///
/// # Errors
/// Those of `recvmsg(2)`; `EMFILE` if `count` descriptors are too many.
fn peek(socket: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0u8];
    let mut space = nix::cmsg_space!([RawFd; PER_MESSAGE]);
    let mut data = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut space), flags)?;
    let mut fds = Vec::with_capacity(count);
    for header in message.cmsgs()? {
        let ControlMessageOwned::ScmRights(raw) = header else { continue };
        // SAFETY: the kernel just made these descriptors for us, without another owner.
        fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
    }
    if fds.len() == count { Ok(fds) } else { Err(io::Error::from_raw_os_error(libc::EMFILE)) }
}

/// A pair of connected sockets that preserve message boundaries (`SOCK_SEQPACKET`); close-on-exec.
///
/// # Errors
/// `EMFILE`.
pub fn messages() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Most descriptors of one message of [`send_some`].
pub const MOST: usize = 3;

/// Room for [`MOST`] descriptors beside a message, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
struct Beside([u8; 32]);

const fn bytes_of(fds: usize) -> u32 {
    (fds * size_of::<RawFd>()) as u32
}

// SAFETY: arithmetic only.
const _: () = assert!(unsafe { libc::CMSG_SPACE(bytes_of(MOST)) } as usize == size_of::<Beside>());

/// A message with room for this many descriptors.
fn message(data: &mut libc::iovec, beside: &mut Beside, fds: usize) -> libc::msghdr {
    // SAFETY: plain numbers and pointers, for which all zero means "none".
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = data;
    message.msg_iovlen = 1;
    if fds > 0 {
        message.msg_control = std::ptr::from_mut(beside).cast();
        // SAFETY: arithmetic only.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(bytes_of(fds)) } as _;
    }
    message
}

/// Sends a message, optionally with a descriptor, without blocking or allocating: it runs once per connection.
///
/// # Errors
/// `WouldBlock` if the receiver's buffer is full; those of `sendmsg(2)`.
pub fn send_one(socket: BorrowedFd<'_>, fd: Option<BorrowedFd<'_>>, bytes: &[u8]) -> io::Result<()> {
    send_some(socket, fd.as_slice(), bytes)
}

/// As [`send_one`], with up to [`MOST`] descriptors.
///
/// # Errors
/// Those of [`send_one`].
///
/// # Panics
/// If there are more.
pub fn send_some(socket: BorrowedFd<'_>, fds: &[BorrowedFd<'_>], bytes: &[u8]) -> io::Result<()> {
    with_message(fds, bytes, |message| {
        // SAFETY: all that the message points to is alive, and is only read.
        super::cerr(unsafe { libc::sendmsg(socket.as_raw_fd(), message, FLAGS) }).map(drop)
    })
}

/// As [`send_one`], by a call that the server never makes, so that a filter can intercept all the others. Async-signal-safe.
///
/// # Errors
/// Those of `sendmmsg(2)`.
pub fn send_one_by_sendmmsg(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    with_message(&[fd], b"f", |message| {
        let mut messages = libc::mmsghdr { msg_hdr: *message, msg_len: 0 };
        // SAFETY: all that the one message points to is alive, and is only read.
        super::cerr(unsafe { libc::sendmmsg(socket.as_raw_fd(), &raw mut messages, 1, FLAGS as _) }).map(drop)
    })
}

const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

fn with_message<T>(fds: &[BorrowedFd<'_>], bytes: &[u8], send: impl FnOnce(&libc::msghdr) -> T) -> T {
    assert!(fds.len() <= MOST, "{} descriptors", fds.len());
    let mut data = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut beside = Beside([0; 32]);
    let message = message(&mut data, &mut beside, fds.len());
    if !fds.is_empty() {
        // SAFETY: the message has room for exactly one header with these descriptors behind it (asserted above).
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(bytes_of(fds.len())) as _;
            for (index, fd) in fds.iter().enumerate() {
                libc::CMSG_DATA(header).cast::<RawFd>().add(index).write_unaligned(fd.as_raw_fd());
            }
        }
    }
    send(&message)
}

/// Receives a message: returns its length and the attached descriptor, close-on-exec. Blocks if told to.
///
/// # Errors
/// `WouldBlock`; `Interrupted` after a signal; those of `recvmsg(2)`.
pub fn receive_one(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    wait: bool,
) -> io::Result<(usize, Option<OwnedFd>)> {
    let (length, [fd, ..]) = receive_some(socket, bytes, wait)?;
    Ok((length, fd))
}

/// As [`receive_one`], with up to [`MOST`] descriptors, in the order in which they were sent. If the process cannot have
/// all of them, the first ones arrive and the others are closed.
///
/// # Errors
/// Those of [`receive_one`].
pub fn receive_some(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    wait: bool,
) -> io::Result<(usize, [Option<OwnedFd>; MOST])> {
    let mut data = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut beside = Beside([0; 32]);
    let mut message = message(&mut data, &mut beside, MOST);
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    // SAFETY: all that the message points to is alive and ours to write, and the lengths are right.
    let length = super::cerr(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) })?;
    let mut fds = [const { None }; MOST];
    // SAFETY: the kernel has filled in the headers; one with SCM_RIGHTS has as many descriptors behind it as its length says,
    // no more than there was room for, and they are new and ours.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS {
            let count = ((*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
            for (index, place) in fds.iter_mut().enumerate().take(count) {
                let fd = libc::CMSG_DATA(header).cast::<RawFd>().add(index).read_unaligned();
                *place = Some(OwnedFd::from_raw_fd(fd));
            }
        }
    }
    Ok((length.unsigned_abs(), fds))
}

/// Keeps descriptors open without holding them: they are in flight in socketpairs of this process. While parked, the
/// process cannot accept from them or leak them to a child. Copies are taken by peeking at the message, so that no
/// error can lose what is parked.
#[derive(Debug, Default)]
pub struct Parking {
    lots: Vec<Lot>,
}

#[derive(Debug)]
struct Lot {
    _entrance: UnixStream,
    exit: UnixStream,
    count: usize,
}

impl Parking {
    /// Parks copies of `fds` in addition.
    ///
    /// # Errors
    /// Those of `socketpair(2)` and `sendmsg(2)`; `ETOOMANYREFS` if the user has more in flight than `RLIMIT_NOFILE`
    /// allows. Then none of them is parked.
    pub fn park(&mut self, fds: &[OwnedFd]) -> io::Result<()> {
        let mut lots = Vec::new();
        for chunk in fds.chunks(PER_MESSAGE) {
            let (entrance, exit) = UnixStream::pair()?;
            send(&entrance, &chunk.iter().map(AsFd::as_fd).collect::<Vec<_>>())?;
            lots.push(Lot { _entrance: entrance, exit, count: chunk.len() });
        }
        self.lots.append(&mut lots);
        Ok(())
    }

    /// Copies of all parked descriptors, in the order of parking.
    ///
    /// # Errors
    /// `EMFILE`; those of `recvmsg(2)`. The parked descriptors stay.
    pub fn copies(&self) -> io::Result<Vec<OwnedFd>> {
        let mut fds = Vec::new();
        for lot in &self.lots {
            fds.extend(peek(&lot.exit, lot.count)?);
        }
        Ok(fds)
    }

    pub fn len(&self) -> usize {
        self.lots.iter().map(|lot| lot.count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.lots.is_empty()
    }

    /// Releases what the last calls of [`park`](Self::park) parked, until this many are left.
    pub fn release_beyond(&mut self, count: usize) {
        while self.len() > count && self.lots.pop().is_some() {}
    }

    /// Releases everything.
    pub fn clear(&mut self) {
        self.lots.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(fd: &impl AsFd) -> u64 {
        nix::sys::stat::fstat(fd).unwrap().st_ino
    }

    #[test]
    fn what_is_parked_can_be_copied_again_and_again_in_order() {
        let fds: Vec<OwnedFd> = (0..300).map(|_| UnixStream::pair().unwrap().0.into()).collect();
        let inodes: Vec<u64> = fds.iter().map(inode).collect();
        let mut parking = Parking::default();
        parking.park(&fds[..290]).unwrap();
        parking.park(&fds[290..]).unwrap();
        drop(fds);
        for _ in 0..3 {
            assert_eq!(parking.copies().unwrap().iter().map(inode).collect::<Vec<_>>(), inodes);
        }
        parking.release_beyond(290);
        assert_eq!(parking.copies().unwrap().iter().map(inode).collect::<Vec<_>>(), inodes[..290]);
    }

    #[test]
    fn some_descriptors_arrive_in_order() {
        let (near, far) = messages().unwrap();
        for count in 0..=MOST {
            let fds: Vec<OwnedFd> = (0..count).map(|_| UnixStream::pair().unwrap().0.into()).collect();
            send_some(near.as_fd(), &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>(), b"text").unwrap();
            let mut bytes = [0; 9];
            let (length, received) = receive_some(far.as_fd(), &mut bytes, false).unwrap();
            assert_eq!(&bytes[..length], b"text");
            let received: Vec<u64> = received.iter().flatten().map(inode).collect();
            assert_eq!(received, fds.iter().map(inode).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_parked_stays_open_until_it_is_let_go() {
        use std::io::Read;
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut parking = Parking::default();
        parking.park(&[near.into()]).unwrap();
        far.set_nonblocking(true).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        parking.clear();
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "the last holder is gone");
    }
}
