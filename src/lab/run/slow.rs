//! Clients that send a request byte by byte and never finish.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(500);
/// Time to connect; retried later.
const PATIENCE: Duration = Duration::from_secs(1);
const BEGINNING: &[u8] = b"POST /slow HTTP/1.1\r\nHost: slow\r\nContent-Length: 100000\r\nX-Slow: ";

/// Slow clients in a thread, until dropped.
#[derive(Debug)]
pub struct SlowClients {
    /// Dropping it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SlowClients {
    /// Starts this many; they reconnect when the server closes.
    pub fn start(count: u32, address: SocketAddr) -> Self {
        let (stop, stopped) = channel::<()>();
        let dribble = move || {
            let mut clients: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                clients.iter_mut().for_each(|client| *client = resume(client.take(), address));
            }
        };
        let thread = std::thread::Builder::new().name("slow clients".into());
        let thread = if count > 0 { thread.spawn(dribble).ok() } else { None };
        Self { stop: Some(stop), thread }
    }
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

impl Drop for SlowClients {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_slow_client_begins_and_comes_again_when_it_was_sent_away() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clients = SlowClients::start(1, listener.local_addr().unwrap());
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
