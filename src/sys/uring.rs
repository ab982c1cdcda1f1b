//! A ring of io_uring with one use: accepting from one socket, once at a time or again and again (multishot).

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::{cerr, net};

const ACCEPT: u64 = 1;
const CANCEL: u64 = 2;
const ENTRIES: u32 = 8;

/// Buffer for a client's address.
#[derive(Debug)]
#[repr(C)]
struct Peer {
    storage: MaybeUninit<libc::sockaddr_storage>,
    len: libc::socklen_t,
}

/// A completion: a connection, or an error.
pub type Outcome = io::Result<(OwnedFd, SocketAddr)>;

pub struct AcceptRing {
    ring: IoUring,
    listener: OwnedFd,
    multishot: bool,
    /// Written by the kernel while a single accept is armed, so it is only reached through the pointer, never borrowed. Never
    /// freed: a ring ends some time after it was closed.
    peer: NonNull<Peer>,
    armed: bool,
}

// SAFETY: `peer` belongs to the ring alone, like all else in it; nothing of it is bound to a thread.
unsafe impl Send for AcceptRing {}

impl std::fmt::Debug for AcceptRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptRing").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl AcceptRing {
    /// A ring for `listener`. It leaks about 130 bytes: one for each worker's life.
    ///
    /// # Errors
    /// Those of `io_uring_setup(2)`: `EPERM` where it is forbidden, `ENOSYS` on an old kernel.
    pub fn new(listener: BorrowedFd<'_>, multishot: bool) -> io::Result<Self> {
        let peer = NonNull::from(Box::leak(Box::new(Peer { storage: MaybeUninit::zeroed(), len: 0 })));
        let ring = IoUring::new(ENTRIES)?;
        Ok(Self { ring, listener: listener.try_clone_to_owned()?, multishot, peer, armed: false })
    }

    /// The ring's descriptor, for an alias.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns it and lives as long as the borrow.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what the entry points to, `peer`, is never freed, and the descriptor in it is ours until the ring is closed.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)
    }

    /// Puts an accept into the submission queue unless one is armed.
    fn arm(&mut self) -> io::Result<()> {
        if self.armed {
            return Ok(());
        }
        let fd = types::Fd(self.listener.as_raw_fd());
        let entry = if self.multishot {
            opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build()
        } else {
            let peer = self.peer.as_ptr();
            // SAFETY: `peer` is never freed; no accept is armed, so the kernel does not write to it now.
            let (storage, len) = unsafe {
                (*peer).len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
                (&raw mut (*peer).storage, &raw mut (*peer).len)
            };
            opcode::Accept::new(fd, storage.cast(), len).flags(libc::SOCK_CLOEXEC).build()
        };
        self.push(&entry.user_data(ACCEPT))?;
        self.armed = true;
        Ok(())
    }

    /// Arms an accept unless one is armed, and waits on `alias` (of the ring) until something has come, with one system call.
    ///
    /// # Errors
    /// Those of `io_uring_enter(2)`; `Interrupted` after a signal, though not always: it may return as if something had come.
    pub fn wait(&mut self, alias: BorrowedFd<'_>) -> io::Result<()> {
        self.arm()?;
        const GETEVENTS: u32 = 1;
        let submit = self.ring.submission().len() as u32;
        // SAFETY: no memory is passed but through the ring; the alias is a ring or the call fails.
        cerr(unsafe {
            libc::syscall(libc::SYS_io_uring_enter, alias.as_raw_fd(), submit, 1, GETEVENTS, 0usize, 0usize)
        })
        .map(drop)
    }

    /// The next completion, if any.
    pub fn take(&mut self) -> Option<Outcome> {
        loop {
            let entry = self.ring.completion().next()?;
            if entry.user_data() != ACCEPT {
                continue;
            }
            self.armed = cqueue::more(entry.flags());
            if entry.result() < 0 {
                return Some(Err(io::Error::from_raw_os_error(-entry.result())));
            }
            // SAFETY: a new descriptor without another owner.
            let stream = unsafe { OwnedFd::from_raw_fd(entry.result()) };
            let peer = if self.multishot {
                net::peer(stream.as_fd())
            } else {
                // SAFETY: zeroed at first, then filled by the kernel, which is done with it: the accept has ended.
                Ok(net::address(unsafe { (*self.peer.as_ptr()).storage.assume_init_ref() }))
            };
            return Some(peer.map(|peer| (stream, peer)));
        }
    }

    /// Cancels the armed accept, and returns what had completed until then.
    ///
    /// # Errors
    /// The ring cannot be entered any more.
    pub fn close(&mut self) -> io::Result<Vec<(OwnedFd, SocketAddr)>> {
        let mut rest = Vec::new();
        if self.armed {
            self.push(&opcode::AsyncCancel::new(ACCEPT).build().user_data(CANCEL))?;
        }
        while self.armed {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            while let Some(outcome) = self.take() {
                rest.extend(outcome);
            }
        }
        while let Some(outcome) = self.take() {
            rest.extend(outcome);
        }
        Ok(rest)
    }

    /// Like [`close`](Self::close), and also accepts what waits in the socket's queue, in at most `rounds`. A cancelled
    /// accept, and one that ended because the ring was full, may have consumed the wake-ups of connections that stay in
    /// the queue; other waiters are woken only by the next connection.
    ///
    /// # Errors
    /// The ring cannot be entered any more.
    pub fn clear(&mut self, rounds: usize) -> io::Result<Vec<(OwnedFd, SocketAddr)>> {
        let mut rest = self.close()?;
        for _ in 0..rounds {
            if !net::readable(self.listener.as_fd())? {
                break;
            }
            self.arm()?;
            self.ring.submit()?;
            rest.extend(self.close()?);
        }
        Ok(rest)
    }
}
