//! The accept path: a client connects and sends, the strategy's acceptor returns the connection. One process and one
//! worker, so this is what a strategy adds to accept(), not how it spreads.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;

use caffeine::listener::{Choice, STRATEGIES, Seat, socket};
use caffeine::scoreboard::Scoreboard;
use criterion::Criterion;

/// A bench for each strategy of the table, with each of its arguments.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("accept");
    for entry in STRATEGIES {
        let with_argument = |argument| format!("{}:{argument}", entry.name);
        let mut names: Vec<String> = entry.arguments.iter().copied().map(with_argument).collect();
        if names.is_empty() {
            names.push(entry.name.to_owned());
        }
        for name in names {
            let choice: Choice = name.parse().unwrap();
            group.bench_function(&name, |bencher| {
                let sockets = [socket::first((Ipv4Addr::LOCALHOST, 0).into(), 64).unwrap()];
                let address = socket::local_address(sockets[0].as_fd()).unwrap();
                let board = Scoreboard::anonymous(1).unwrap();
                let strategy = choice.open(1).unwrap();
                let mut acceptor =
                    strategy.acceptor(Seat { worker: 0, workers: 1, sockets: &sockets }).unwrap();
                bencher.iter(|| {
                    let client = connect(address);
                    let accepted = acceptor.accept(board.row(0)).unwrap();
                    drop(client);
                    accepted
                });
            });
        }
    }
    group.finish();
}

/// A client whose first bytes are sent, as TCP_DEFER_ACCEPT wants it. It leaves with a reset, so that thousands a second
/// do not use up the ports with connections in TIME_WAIT.
fn connect(address: std::net::SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    client.write_all(b"x").unwrap();
    client
}
