//! Clients that send a request byte by byte and never finish.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::background::{Background, RunEnd};

const PAUSE: Duration = Duration::from_millis(500);
/// Time to connect; retried later.
const PATIENCE: Duration = Duration::from_secs(1);
const BEGINNING: &[u8] = b"POST /slow HTTP/1.1\r\nHost: slow\r\nContent-Length: 100000\r\nX-Slow: ";

/// Starts this many; they reconnect when the server closes. `None` without any.
pub fn start(count: u32, address: SocketAddr) -> Option<Background<()>> {
    let dribble = move |end: &RunEnd| {
        let mut clients: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
        while end.is_later_than(PAUSE) {
            clients.iter_mut().for_each(|client| *client = resume(client.take(), address));
        }
    };
    (count > 0).then(|| Background::start("slow clients", dribble).ok()).flatten()
}

/// Sends one more byte, or reconnects.
fn resume(client: Option<TcpStream>, address: SocketAddr) -> Option<TcpStream> {
    let Some(mut client) = client else {
        let mut client = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        client.write_all(BEGINNING).ok()?;
        client.set_nonblocking(true).ok()?;
        return Some(client);
    };
    // Anything to read is the end of the connection.
    let silent = client.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    (silent && client.write_all(b"x").is_ok()).then_some(client)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_slow_client_begins_and_comes_again_when_it_was_sent_away() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clients = start(1, listener.local_addr().unwrap());
        for _ in 0..2 {
            let (mut client, _) = listener.accept().unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut bytes = vec![0; BEGINNING.len()];
            client.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, BEGINNING);
        }
        drop(clients);
    }
}
