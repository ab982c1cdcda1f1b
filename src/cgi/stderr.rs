//! Standard error of a worker's handlers: a few pipes, each lent to one handler at a time.
//!
//! The supervisor, which reads the pipes, must tell which handler wrote a line, and unfinished lines of two handlers
//! must not merge. A new pipe per handler would cost at least 5 % of a launch: creating it, announcing it, and waking
//! the reader at its end. Lent pipes cost under 1 % (descriptors are copied at each launch, and three calls check
//! whether a pipe is free): a pipe is free when its last handler has ended and all its output was read. Shared memory
//! tells the borrower of each pipe ([`Table`]). If no pipe is free, the handler shares the worker's own standard error:
//! its lines carry only the worker's number. Processes that a handler leaves behind write under the name of the next
//! borrower.
//!
//! Each pipe is open for reading *and* writing, so that a handler always has a reader in itself: if the supervisor is
//! killed, its handlers do not die of SIGPIPE in mid-response. Sockets would do all that better, but /dev/stderr, which
//! shells open, cannot be opened then. A handler that changes the mode of its pipe (O_NONBLOCK) affects only its own,
//! and the mode is reset before the next loan.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::sys::map::SharedMap;
use crate::sys::net;

/// Pipes that a worker has to lend, at most.
pub const PIPES: usize = 8;
/// Longest stored name of a handler.
const NAME_BYTES: usize = 48;
/// Stands for a pid while a handler is being started.
const CLAIMED: u64 = u64::MAX;

/// The borrower of one pipe.
#[repr(C, align(64))]
#[derive(Debug)]
struct Holder {
    /// The handler's first process; 0 for none.
    pid: AtomicU64,
    name: [AtomicU64; NAME_BYTES / 8],
}

crate::sys::map::shared!(Holder);

/// The borrowers of all pipes of an instance.
#[derive(Debug)]
pub struct Table {
    map: SharedMap,
    places: usize,
}

/// A handler that has borrowed a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// Its first process.
    pub pid: u64,
    /// Its name, as in `SCRIPT_NAME`; cut when it is long.
    pub name: Vec<u8>,
}

impl Table {
    /// A table for this many members, in memory that forked children share. Unused entries take no memory.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(places: usize) -> io::Result<Self> {
        Ok(Self { map: SharedMap::anonymous(places * PIPES * size_of::<Holder>())?, places })
    }

    pub fn places(&self) -> usize {
        self.places
    }

    fn holder(&self, place: usize, pipe: usize) -> &Holder {
        self.map.at((place * PIPES + pipe) * size_of::<Holder>())
    }

    /// The current borrower, if known.
    pub fn writer(&self, place: usize, pipe: usize) -> Option<Writer> {
        let holder = self.holder(place, pipe);
        let pid = holder.pid.load(Acquire);
        let words = holder.name.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes());
        let name = words.take_while(|&byte| byte != 0).collect();
        let whole = pid != 0 && pid != CLAIMED && holder.pid.load(Acquire) == pid;
        whole.then_some(Writer { pid, name })
    }
}

/// A worker's pipes, used by both of its threads.
#[derive(Debug)]
pub struct Pipes {
    table: &'static Table,
    place: usize,
    ends: Vec<OwnedFd>,
    next: AtomicUsize,
}

/// A pipe lent to a handler that is about to start.
#[derive(Debug)]
pub struct Lent<'a> {
    /// The handler's standard error.
    pub end: BorrowedFd<'a>,
    /// Where the new process writes its pid.
    pub pid: &'a AtomicU64,
}

impl Lent<'_> {
    /// The launch failed: the pipe is free again.
    pub fn give_back(&self) {
        self.pid.store(0, Release);
    }
}

impl Pipes {
    /// `ends` are the pipes of the member `place`, in order; without any, all handlers share one standard error.
    pub fn new(table: &'static Table, place: usize, ends: Vec<OwnedFd>) -> Self {
        Self { table, place, ends, next: AtomicUsize::new(0) }
    }

    /// Lends a free pipe to the handler called `name`.
    pub fn lend(&self, name: &[u8]) -> Option<Lent<'_>> {
        let first = self.next.fetch_add(1, Relaxed);
        let pipe = (0..self.ends.len())
            .map(|step| first.wrapping_add(step) % self.ends.len())
            .find(|&pipe| self.claim(pipe))?;
        let holder = self.table.holder(self.place, pipe);
        let name = if name.len() > NAME_BYTES { &name[..NAME_BYTES] } else { name };
        for (index, word) in holder.name.iter().enumerate() {
            let mut bytes = [0; 8];
            let rest = name.get(index * 8..).unwrap_or_default();
            let n = rest.len().min(8);
            bytes[..n].copy_from_slice(&rest[..n]);
            word.store(u64::from_ne_bytes(bytes), Relaxed);
        }
        let end = self.ends[pipe].as_fd();
        let _ = net::set_nonblocking(end, false);
        Some(Lent { end, pid: &holder.pid })
    }

    fn claim(&self, pipe: usize) -> bool {
        let pid = &self.table.holder(self.place, pipe).pid;
        let last = pid.load(Acquire);
        last != CLAIMED
            && !is_alive(last)
            && net::unread(self.ends[pipe].as_fd()).is_ok_and(|bytes| bytes == 0)
            && pid.compare_exchange(last, CLAIMED, Acquire, Relaxed).is_ok()
    }
}

fn is_alive(pid: u64) -> bool {
    let Ok(pid @ 1..) = i32::try_from(pid) else { return false };
    // Sends no signal. A process that may not be signalled (setuid) is alive.
    kill(Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn with_pipes(count: usize) -> (Pipes, Vec<io::PipeReader>) {
        let table: &'static Table = Box::leak(Box::new(Table::new(2).unwrap()));
        let (readers, ends): (Vec<_>, Vec<_>) = (0..count).map(|_| io::pipe().unwrap()).unzip();
        (Pipes::new(table, 1, ends.into_iter().map(OwnedFd::from).collect()), readers)
    }

    #[test]
    fn a_pipe_is_lent_again_when_its_handler_has_ended_and_all_was_read() {
        let (pipes, mut readers) = with_pipes(1);
        let mut handler = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let lent = pipes.lend(b"/first").unwrap();
        assert!(
            pipes.table.writer(1, 0).is_none() && pipes.lend(b"/second").is_none(),
            "it is being started"
        );
        lent.pid.store(handler.id().into(), Release);
        let writer = Writer { pid: handler.id().into(), name: b"/first".to_vec() };
        assert_eq!(pipes.table.writer(1, 0), Some(writer));
        assert!(pipes.lend(b"/second").is_none(), "its handler runs");
        std::fs::File::from(lent.end.try_clone_to_owned().unwrap()).write_all(b"x").unwrap();
        handler.kill().unwrap();
        handler.wait().unwrap();
        assert!(pipes.lend(b"/second").is_none(), "what it wrote is not read yet");
        readers[0].read_exact(&mut [0]).unwrap();
        pipes.lend(b"/second").unwrap().give_back();
        assert!(pipes.lend(b"/third").is_some());
    }

    #[test]
    fn a_name_is_cut_and_pipes_take_turns() {
        let (pipes, _readers) = with_pipes(3);
        let name = vec![b'n'; NAME_BYTES + 10];
        for pipe in 0..3 {
            pipes.lend(&name).unwrap().pid.store(u64::from(std::process::id()), Release);
            assert_eq!(pipes.table.writer(1, pipe).unwrap().name, name[..NAME_BYTES]);
        }
        assert!(pipes.lend(b"/one-too-many").is_none());
    }
}
