//! Descriptors through Unix sockets (`SCM_RIGHTS`), and the parking place made of them.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// A message carries at most 253 descriptors (unix(7)).
const PER_MESSAGE: usize = 253;

/// Sends descriptors, with one byte of data per message. The receiver gets duplicates.
///
/// # Errors
/// Those of `sendmsg(2)`; `ETOOMANYREFS` when more are in flight than `RLIMIT_NOFILE` allows.
pub fn send(socket: &UnixStream, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    for chunk in fds.chunks(PER_MESSAGE) {
        let raw: Vec<RawFd> = chunk.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"f")], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    }
    Ok(())
}

/// Receives `count` descriptors that were sent with [`send`], close-on-exec.
///
/// # Errors
/// Those of `recvmsg(2)`; `UnexpectedEof` when fewer came.
pub fn receive(socket: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut fds = Vec::with_capacity(count);
    while fds.len() < count {
        let mut byte = [0u8];
        let mut space = nix::cmsg_space!([RawFd; PER_MESSAGE]);
        let mut data = [IoSliceMut::new(&mut byte)];
        let message =
            recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
        let before = fds.len();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                // SAFETY: the kernel just made these descriptors for us; nobody else owns them.
                fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        if fds.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(fds)
}

/// Descriptors that are kept open without being held: they are in flight in a socketpair of the process' own.
/// While they are parked it has no such descriptor, and can neither accept from one nor leak one to a child.
#[derive(Debug)]
pub struct Parking {
    entrance: UnixStream,
    exit: UnixStream,
    count: usize,
}

impl Parking {
    /// An empty place.
    ///
    /// # Errors
    /// Those of `socketpair(2)`.
    pub fn new() -> io::Result<Self> {
        let (entrance, exit) = UnixStream::pair()?;
        Ok(Self { entrance, exit, count: 0 })
    }

    /// Parks `fds` and closes them.
    ///
    /// # Errors
    /// Those of [`send`].
    pub fn put(&mut self, fds: Vec<OwnedFd>) -> io::Result<()> {
        use std::os::fd::AsFd;
        send(&self.entrance, &fds.iter().map(AsFd::as_fd).collect::<Vec<_>>())?;
        self.count += fds.len();
        Ok(())
    }

    /// Takes all parked descriptors out, in the order in which they went in.
    ///
    /// # Errors
    /// Those of [`receive`].
    pub fn take(&mut self) -> io::Result<Vec<OwnedFd>> {
        receive(&self.exit, std::mem::take(&mut self.count))
    }
}
