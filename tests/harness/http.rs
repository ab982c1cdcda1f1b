//! HTTP over plain sockets, so that a test controls every byte.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::Place;

#[track_caller]
pub fn connect(port: u16) -> TcpStream {
    Place::Port(port).connect().unwrap()
}

/// Reads the next bytes and returns their number, 0 at the end. Retries after EINTR: a read with a timeout is
/// interrupted by any signal.
#[track_caller]
pub fn read_some(stream: &mut impl Read, bytes: &mut [u8]) -> usize {
    loop {
        match stream.read(bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read.unwrap(),
        }
    }
}

#[track_caller]
pub fn raw(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(port);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[track_caller]
pub fn get(port: u16, target: &str) -> Response {
    Response::parse(&raw(port, get_request(target).as_bytes()))
}

pub fn get_request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
}

/// A response delimited by the end of its connection.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Self {
        let text = || String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no response: {:?}", text()));
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {:?}", text()));
        let header = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self { status, headers: lines.filter_map(header).collect(), body: bytes[end + 4..].to_vec() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
