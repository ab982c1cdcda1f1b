//! `reuseport`: one socket per worker in one SO_REUSEPORT group; the kernel's hash of the 4-tuple picks the socket.
//!
//! Mechanism: `reciprocal_scale(hash(addresses, ports), n)` over the group (socket(7), lwn.net/Articles/542629); each worker
//! blocks in accept() on its own socket. One system call per connection.
//! Promises: even in the mean, no contention on one queue; no loss on a crash, because all workers hold all sockets and the
//! successor goes on with the same one.
//! Does not promise work conservation: a busy or stuck worker still gets its share, which waits for it.
//! `:private`: as in the literature and in most servers, each worker opens a socket that no other process holds. A
//! crash resets what waits in its queue; a worker that leaves takes what is in its queue at that moment, and what finishes
//! its handshake just then is reset (without `tcp_migrate_req`): on a reload, and when workers become fewer. A stop leads new
//! connections away first ([`sink`](super::sink)), so that nearly nothing is left to be reset. For
//! comparison, not for use.
//!
//! When a reload has made workers fewer, sockets that all hold stay open (closing one resets its queue) and each worker
//! serves its own and those that came after: socket i belongs to worker i mod n.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::socket::{self, Blocking};
use super::{
    Accepted, Acceptor, Advice, Argument, Entry, Loss, Promises, Seat, SocketCount, Spread, Stateless, Wait,
};
use crate::scoreboard::{Row, add};
use crate::sys::net;
use crate::sys::signal::Interruptible;

/// The line in the table.
pub const ENTRY: Entry = Entry {
    name: "reuseport",
    argument: Argument::Word(&["shared", "private"]),
    sockets: |argument| if argument == "private" { SocketCount::Private } else { SocketCount::PerWorker },
    promises: |argument| {
        let queue = if argument == "private" { Loss::Queue } else { Loss::Nothing };
        Promises {
            spread: Spread::Hash,
            busy: Wait::Share,
            stopped: Wait::Share,
            crash: queue,
            leave: queue,
            ..Promises::USUAL
        }
    },
    advice: |argument| match argument {
        "private" => Advice {
            take: "you compare with servers whose workers each hold a socket of their own",
            avoid: "no connection may be lost: a queue dies with its worker",
        },
        _ => Advice {
            take: "all requests take equally long, none hangs, and one accept queue is the limit",
            avoid: "requests differ in length, or a worker may hang: its share waits for it",
        },
    },
    summary: "the kernel's hash of addresses and ports decides, blind to busy workers; with `:private` a worker's queue dies with it",
    open: |argument, _| {
        Ok(Box::new(Stateless(if argument == "private" { Private::acceptor } else { of_ones_own })))
    },
    ..Entry::USUAL
};

/// The worker's side where a worker accepts from its own sockets of those that all hold.
///
/// # Errors
/// `EMFILE`.
pub(super) fn of_ones_own(seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
    let own: Vec<&OwnedFd> = seat.sockets.iter().skip(seat.worker).step_by(seat.workers).collect();
    match own[..] {
        [] => Err(io::Error::other("fewer sockets than workers")),
        [only] => Blocking::acceptor(only.as_fd()),
        _ => Several::acceptor(&own),
    }
}

/// A worker that alone holds its socket.
#[derive(Debug)]
struct Private {
    listener: OwnedFd,
    blocking: Box<dyn Acceptor>,
}

impl Private {
    fn acceptor(seat: Seat<'_>) -> io::Result<Box<dyn Acceptor>> {
        let listener = socket::sibling(socket::local_address(seat.sockets[0].as_fd())?, seat.terms)?;
        let blocking = Blocking::acceptor(listener.as_fd())?;
        Ok(Box::new(Self { listener, blocking }))
    }
}

impl Acceptor for Private {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        self.blocking.accept(row)
    }

    fn leave(&mut self, _row: &Row) -> Vec<Accepted> {
        let mut rest = Vec::new();
        if net::set_nonblocking(self.listener.as_fd(), true).is_ok() {
            while let Ok((stream, peer)) = net::accept(self.listener.as_fd()) {
                rest.push(Accepted { stream, peer });
            }
        }
        rest
    }
}

/// After workers became fewer: a worker with more than one socket. They are made non-blocking, since for a moment the worker
/// of the generation before may accept from the same ones. `epoll` gathers them, so a signal handler has one descriptor to replace.
#[derive(Debug)]
struct Several {
    epoll: Epoll,
    ready: Interruptible,
    listeners: Vec<OwnedFd>,
    next: usize,
}

impl Several {
    fn acceptor(own: &[&OwnedFd]) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(Self::of(own)?))
    }

    fn of(own: &[&OwnedFd]) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let listeners: Vec<OwnedFd> =
            own.iter().map(|listener| listener.try_clone()).collect::<io::Result<_>>()?;
        for listener in &listeners {
            net::set_nonblocking(listener.as_fd(), true)?;
            epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        Ok(Self { ready: Interruptible::new(epoll.0.as_fd())?, epoll, listeners, next: 0 })
    }

    /// Takes a connection from whichever socket has one, beginning after the one that gave the last.
    fn take(&mut self) -> io::Result<Option<Accepted>> {
        for _ in 0..self.listeners.len() {
            self.next = (self.next + 1) % self.listeners.len().max(1);
            let Some(listener) = self.listeners.get(self.next) else { break };
            match socket::take(listener.as_fd()) {
                Ok(None) => {}
                Err(error) if socket::was_shut_down(&error) => {
                    self.epoll.delete(listener)?;
                    self.listeners.remove(self.next);
                    socket::tell_shut_down();
                }
                taken => return taken,
            }
        }
        Ok(None)
    }
}

impl Acceptor for Several {
    fn accept(&mut self, row: &Row) -> io::Result<Accepted> {
        loop {
            // poll() on the epoll descriptor: unlike epoll_wait it also works on the /dev/null that a signal puts there.
            poll(&mut [PollFd::new(self.ready.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
            if crate::sys::signal::stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            add(&row.wakeups, 1);
            match self.take()? {
                Some(accepted) => return Ok(accepted),
                None => add(&row.empty_wakeups, 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::socket::Terms;
    use crate::scoreboard::Scoreboard;
    use std::net::{Ipv4Addr, Shutdown, TcpStream};

    #[test]
    fn a_socket_that_was_shut_down_does_not_disturb_the_others() {
        let terms = Terms { defer_accept_s: 0, ..Terms::default() };
        let open = || socket::first((Ipv4Addr::LOCALHOST, 0).into(), terms).unwrap();
        let sockets = [open(), open(), open()];
        let mut several = Several::of(&sockets.iter().collect::<Vec<_>>()).unwrap();
        for shut in [2, 0] {
            socket2::SockRef::from(&sockets[shut]).shutdown(Shutdown::Both).unwrap();
        }
        let board = Scoreboard::anonymous(1).unwrap();
        let address = socket::local_address(sockets[1].as_fd()).unwrap();
        for _ in 0..4 {
            let client = TcpStream::connect(address).unwrap();
            let accepted = several.accept(board.row(0)).unwrap();
            assert_eq!(accepted.peer, client.local_addr().unwrap());
        }
        assert!(!net::readable(several.ready.as_fd()).unwrap(), "it sleeps when there is nothing");
    }
}
