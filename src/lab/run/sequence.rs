//! The connections that the lab makes before a load: one after the other, to see which worker gets which;
//! then, if they are kept, a request on each at once, to see which have to wait.
//!
//! Not a load generator: it sends a handful of requests, and only the burst is timed.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::http::{Answer, Client};
use crate::lab::results::data::SequenceRecord;
use crate::lab::spec::Sequence;

/// Before the first connection: a server is ready when its workers listen, a moment before all of them wait.
const SETTLE: Duration = Duration::from_millis(50);
/// Between connections: the response may arrive before the worker waits again.
const PAUSE: Duration = Duration::from_millis(2);

/// Each wait takes at most `patience`.
pub fn make(address: SocketAddr, target: &str, wanted: Sequence, patience: Duration) -> SequenceRecord {
    let mut done = SequenceRecord::default();
    let mut kept = Vec::new();
    sleep(SETTLE);
    for number in 1..=wanted.connections {
        let one = Client::connect(address, patience).and_then(|mut client| {
            client.send(target, wanted.hold)?;
            Ok((good(client.answer()?)?, client))
        });
        match one {
            Ok((answer, client)) => {
                done.workers.extend(answer.worker);
                kept.extend(wanted.hold.then_some(client));
                sleep(PAUSE);
            }
            Err(error) => {
                done.failed = format!("connection {number} of {}: {error}", wanted.connections);
                return done;
            }
        }
    }
    match burst(&mut kept, target, patience) {
        Ok(times_us) => done.burst_us = times_us,
        Err(error) => done.failed = format!("a request on each kept connection at once: {error}"),
    }
    done
}

fn good(answer: Answer) -> io::Result<Answer> {
    match answer.status {
        200 => Ok(answer),
        status => Err(io::Error::other(format!("it was answered with {status}"))),
    }
}

/// Sends a request on every connection at once; response times in us since the moment before the first was
/// sent.
fn burst(clients: &mut [Client], target: &str, patience: Duration) -> io::Result<Vec<f64>> {
    let begun = Instant::now();
    clients.iter_mut().try_for_each(|client| client.send(target, true))?;
    let mut waiting: Vec<&mut Client> = clients.iter_mut().collect();
    let mut times_us = Vec::new();
    while !waiting.is_empty() {
        let left = patience.saturating_sub(begun.elapsed());
        let left_ms = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut asked: Vec<PollFd> =
            waiting.iter().map(|client| PollFd::new(client.stream.as_fd(), PollFlags::POLLIN)).collect();
        if poll(&mut asked, left_ms)? == 0 {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("{} of {} were not answered in time", waiting.len(), waiting.len() + times_us.len()),
            ));
        }
        let ready: Vec<bool> = asked.iter().map(|one| one.any().unwrap_or(false)).collect();
        let mut still = Vec::new();
        for (client, ready) in waiting.into_iter().zip(ready) {
            if ready && client.receive()?.map(good).transpose()?.is_some() {
                times_us.push(begun.elapsed().as_secs_f64() * 1e6);
            } else {
                still.push(client);
            }
        }
        waiting = still;
    }
    Ok(times_us)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Answers every request of every connection, and names a worker by the number of the connection.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                std::thread::spawn(move || serve(stream, number % 2));
            }
        });
        address
    }

    fn serve(mut stream: TcpStream, worker: usize) {
        let mut buffer = [0; 1024];
        while let Ok(1..) = stream.read(&mut buffer) {
            let answer =
                format!("HTTP/1.1 200 OK\r\nCaffeine-Worker: {worker}\r\nContent-Length: 2\r\n\r\nhi");
            let _ = stream.write_all(answer.as_bytes());
        }
    }

    #[test]
    fn workers_are_told_in_the_order_of_the_connections_and_kept_ones_ask_again_at_once() {
        let patience = Duration::from_secs(10);
        let address = server();
        let done = make(address, "/", Sequence { connections: 5, hold: false }, patience);
        assert_eq!(
            (done.workers.join(""), done.burst_us.len(), done.failed.as_str()),
            ("01010".into(), 0, "")
        );
        let done = make(address, "/", Sequence { connections: 20, hold: true }, patience);
        assert_eq!((done.workers.len(), done.burst_us.len(), done.failed.as_str()), (20, 20, ""));
    }

    #[test]
    fn what_fails_is_said_with_its_number() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let done = make(closed, "/", Sequence { connections: 3, hold: true }, Duration::from_secs(10));
        assert!(done.failed.starts_with("connection 1 of 3: "), "{done:?}");
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let done = make(address, "/", Sequence { connections: 1, hold: false }, Duration::from_millis(50));
        assert!(done.failed.starts_with("connection 1 of 1: "), "{done:?}");
    }
}
