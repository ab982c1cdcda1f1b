//! The accept path: a client connects and sends, the strategy's acceptor returns the connection. One process and one
//! worker, so this is what a strategy adds to accept(), not how it spreads.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use caffeine::listener::socket::{self, Terms};
use caffeine::listener::{Accepted, Acceptor, Choice, Seat, Siblings, SocketCount};
use caffeine::scoreboard::{Row, Scoreboard};
use criterion::Criterion;

/// A bench for each strategy of the table, with each of its arguments.
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

/// The next connection. One that has left already is a stranger's, who took the port for that of a server.
fn next(acceptor: &mut dyn Acceptor, row: &Row) -> Accepted {
    loop {
        match acceptor.accept(row) {
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            accepted => return accepted.unwrap(),
        }
    }
}

/// The instance's socket on a port of its own, as the supervisor binds it: where each worker opens its own one, this one
/// does not listen, so no connection waits in it for good.
fn listening(choice: &Choice) -> OwnedFd {
    let first = socket::first((Ipv4Addr::LOCALHOST, 0).into(), Terms::default()).unwrap();
    if choice.sockets() != SocketCount::Private {
        return first;
    }
    let address = socket::local_address(first.as_fd()).unwrap();
    socket::placeholder(address, Terms::default()).unwrap()
}

/// A client whose first bytes are sent, as TCP_DEFER_ACCEPT wants it. It leaves with a reset, so that thousands a second
/// do not use up the ports with connections in TIME_WAIT.
fn connect(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    client.write_all(b"x").unwrap();
    client
}
