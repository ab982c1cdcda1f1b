//! One request to a server and its response: to check that it serves, and to occupy a worker. Nothing is
//! timed here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The rest of a response is not read.
const LONGEST: u64 = 64 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub worker: Option<String>,
}

/// Sends a request on a connection of its own. Each wait takes at most `timeout`.
pub fn ask(address: SocketAddr, target: &str, timeout: Duration) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    let read = stream.take(LONGEST).read_to_end(&mut bytes);
    match parse(&bytes) {
        // A server may reset a connection after its response.
        Some(answer) => Ok(answer),
        None => {
            Err(read.err().unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer")))
        }
    }
}

/// The response, if it is complete according to `Content-Length`.
pub fn whole(bytes: &[u8]) -> Option<Answer> {
    let answer = parse(bytes)?;
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Content-Length").then(|| value.trim().parse::<usize>().ok())?
    });
    (bytes.len() - head >= length.unwrap_or(0)).then_some(answer)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Caffeine-Worker").then(|| value.trim().to_owned())
    };
    Some(Answer { status, worker: lines.find_map(field) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_may_name_its_worker() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\ncaffeine-worker: 3\r\n\r\nhello\n";
        assert_eq!(parse(text), Some(Answer { status: 200, worker: Some("3".into()) }));
        assert_eq!(parse(b"HTTP/1.0 404 No\r\n\r\n"), Some(Answer { status: 404, worker: None }));
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n";
        assert!(whole(text).is_some() && whole(&text[..text.len() - 1]).is_none());
        for broken in ["", "HTTP/1.1 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1\r\n\r\n"] {
            assert_eq!(parse(broken.as_bytes()), None, "{broken}");
        }
    }
}
