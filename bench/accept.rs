//! The accept path: a client connects and sends, the strategy's acceptor returns the connection. With one
//! process and one worker this is the cost a strategy adds to accept(), not how it spreads.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use caffeine::listener::socket::{self, Terms};
use caffeine::listener::{Accepted, Acceptor, Choice, Seat, Siblings, SocketCount};
use caffeine::scoreboard::{Row, Scoreboard};
use criterion::Criterion;

/// A bench for each strategy with each of its arguments.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("accept");
    for choice in Choice::all() {
        if let Err(reason) = choice.available() {
            eprintln!("{choice} is left out: {reason}");
            continue;
        }
        if let Some(process) = choice.entry.auxiliary {
            eprintln!("{choice} is left out: its {process} is a process, and here is one only");
            continue;
        }
        group.bench_function(choice.to_string(), |bencher| {
            let sockets = [listening(&choice)];
            let address = socket::local_address(sockets[0].as_fd()).unwrap();
            let board: &'static Scoreboard = Box::leak(Box::new(Scoreboard::anonymous(1).unwrap()));
            let strategy = choice.open(1).unwrap();
            let siblings = Siblings::new(board, 0, vec![0]);
            let seat = Seat { worker: 0, workers: 1, sockets: &sockets, terms: Terms::default(), siblings };
            let mut acceptor = strategy.acceptor(seat).unwrap();
            bencher.iter(|| {
                let client = connect(address);
                let accepted = next(&mut *acceptor, board.row(0));
                drop(client);
                accepted
            });
        });
    }
    group.finish();
}

/// The next connection. One already closed is from a stranger that took the port for another server's.
fn next(acceptor: &mut dyn Acceptor, row: &Row) -> Accepted {
    loop {
        match acceptor.accept(row) {
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            accepted => return accepted.unwrap(),
        }
    }
}

/// The instance's socket on its own port, as the supervisor binds it. If each worker opens its own socket,
/// this one does not listen, so no connection is stuck in it.
fn listening(choice: &Choice) -> OwnedFd {
    let first = socket::first((Ipv4Addr::LOCALHOST, 0).into(), Terms::default()).unwrap();
    if choice.sockets() != SocketCount::Private {
        return first;
    }
    let address = socket::local_address(first.as_fd()).unwrap();
    socket::placeholder(address, Terms::default()).unwrap()
}

/// A client that has sent its first bytes, for TCP_DEFER_ACCEPT. It closes with a reset, so that thousands
/// per second do not exhaust the ports with connections in TIME_WAIT.
fn connect(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    client.write_all(b"x").unwrap();
    client
}
