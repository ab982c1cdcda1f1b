//! Scripted servers that handle one connection after the other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than any pause in a test.
const PATIENCE: Duration = Duration::from_secs(10);

/// A small complete response.
pub const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCaffeine-Worker: 7\r\nConnection: close\r\n\r\nok";

/// The same on a connection that stays open.
pub const KEEP: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCaffeine-Worker: 7\r\n\r\nok";

/// A server whose behaviour is a function of the connection and its number.
pub struct Scripted {
    pub address: SocketAddr,
    pub accepted: Arc<AtomicU64>,
    pub served: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    pub fn new(behave: impl Fn(TcpStream, u64) + Send + 'static) -> Self {
        Self::until(u64::MAX, behave)
    }

    /// Stops listening after this many connections.
    pub fn until(connections: u64, behave: impl Fn(TcpStream, u64) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (served, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (served.clone(), over.clone());
        let accepted = Arc::new(AtomicU64::new(0));
        let arrivals = accepted.clone();
        let thread = std::thread::spawn(move || {
            for number in 0..connections {
                let (stream, _) = listener.accept().unwrap();
                if stop.load(Relaxed) {
                    break;
                }
                // Missing input must not block the end of the test.
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                arrivals.fetch_add(1, Relaxed);
                behave(stream, number);
                counter.fetch_add(1, Relaxed);
            }
        });
        Self { address, accepted, served, over, thread: Some(thread) }
    }

    pub fn answering(response: &'static [u8]) -> Self {
        Self::new(move |stream, _| answer(stream, response))
    }

    pub fn url(&self) -> String {
        format!("http://{}/some/path?q", self.address)
    }

    pub fn wait_for(&self, served: u64) {
        while self.served.load(Relaxed) < served {
            std::thread::yield_now();
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads the head of a request; empty when the client has left.
pub fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|bytes| bytes == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

pub fn answer(mut stream: TcpStream, response: &[u8]) {
    read_head(&mut stream);
    let _ = stream.write_all(response);
}

/// Responds, then resets the connection instead of closing it.
pub fn answer_and_reset(mut stream: TcpStream, response: &[u8]) {
    read_head(&mut stream);
    let _ = stream.write_all(response);
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Responds and holds the connection until the client leaves.
pub fn answer_and_hold(mut stream: TcpStream, response: &[u8]) {
    read_head(&mut stream);
    let _ = stream.write_all(response);
    let _ = stream.read(&mut [0]);
}
