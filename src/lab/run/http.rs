//! Requests to a server and their responses: to check that it serves, to occupy a worker, and to see which worker has a
//! connection. Nothing is timed here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const MOST_FIELDS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub worker: Option<String>,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    /// Each wait takes at most `timeout`.
    pub fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
    }

    pub fn send(&mut self, target: &str, keep: bool) -> io::Result<()> {
        let host = self.stream.peer_addr()?;
        let close = if keep { "" } else { "Connection: close\r\n" };
        self.received.clear();
        self.stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n").as_bytes())
    }

    /// Reads once; returns the response when it is complete.
    pub fn receive(&mut self) -> io::Result<Option<Answer>> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..count]);
        match whole(&self.received) {
            None if count == 0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "no HTTP answer")),
            answer => Ok(answer),
        }
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        loop {
            if let Some(answer) = self.receive()? {
                return Ok(answer);
            }
        }
    }
}

/// Sends a request on a connection of its own. Each wait takes at most `timeout`.
pub fn ask(address: SocketAddr, target: &str, timeout: Duration) -> io::Result<Answer> {
    let mut client = Client::connect(address, timeout)?;
    client.send(target, false)?;
    client.answer()
}

/// The response, if it is complete according to `Content-Length`.
fn whole(bytes: &[u8]) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(head)) = response.parse(bytes) else { return None };
    let value = |name: &str| {
        let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(field.value).ok()
    };
    let length = value("Content-Length").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let worker = value("Caffeine-Worker").map(str::to_owned);
    (bytes.len() - head >= length).then_some(Answer { status: response.code?, worker })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_may_name_its_worker() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\ncaffeine-worker: 3\r\n\r\nhello\n";
        assert_eq!(whole(text), Some(Answer { status: 200, worker: Some("3".into()) }));
        assert_eq!(whole(b"HTTP/1.0 404 No\r\n\r\n"), Some(Answer { status: 404, worker: None }));
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n";
        assert!(whole(text).is_some() && whole(&text[..text.len() - 1]).is_none());
        for broken in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1\r\n\r\n"] {
            assert_eq!(whole(broken.as_bytes()), None, "{broken}");
        }
    }
}
