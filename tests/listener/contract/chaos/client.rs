//! The clients of a chaos run: each makes one connection with one or more requests and reports how it ended.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longer than any wait without a fault: a stopped worker is resumed within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client sends and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A complete request.
    Plain,
    /// Connects and sends later.
    Late,
    /// A head in two pieces.
    Slow,
    /// A body that follows its head later.
    Body,
    /// Several requests on one connection.
    Kept,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every request was answered in full.
    Answered,
    /// Closed while idle: after a response and before any byte of the next.
    ClosedWhenIdle,
    /// Anything else, as a description.
    Lost(String),
}

/// A connection as its client saw it.
#[derive(Debug)]
pub struct Story {
    /// Number of the connection in the run.
    pub number: u64,
    /// The client's port; 0 without a connection.
    pub port: u16,
    pub begun: Instant,
    pub ended: Instant,
    pub end: End,
}

/// Makes connection `number`; `seed` determines its form. With `--respond fixed` connections can be kept
/// alive.
pub fn converse(server: SocketAddr, seed: u64, number: u64, fixed: bool) -> Story {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let begun = Instant::now();
    let mut story = Story { number, port: 0, begun, ended: begun, end: End::Answered };
    story.end = match TcpStream::connect(server) {
        Ok(mut stream) => {
            story.port = stream.local_addr().map_or(0, |address| address.port());
            talk(&mut stream, &mut random, fixed)
        }
        Err(error) => End::Lost(format!("connect: {error}")),
    };
    story.ended = Instant::now();
    story
}

fn shape(random: &mut ChaCha8Rng, fixed: bool) -> Shape {
    match random.random_range(0..20) {
        0 => Shape::Late,
        1..4 => Shape::Slow,
        4..6 => Shape::Body,
        6..9 if fixed => Shape::Kept,
        _ => Shape::Plain,
    }
}

fn talk(stream: &mut TcpStream, random: &mut ChaCha8Rng, fixed: bool) -> End {
    let shape = shape(random, fixed);
    let requests = if shape == Shape::Kept { random.random_range(2..6) } else { 1 };
    let told = prepare(stream).and_then(|()| {
        for request in 0..requests {
            let last = request + 1 == requests;
            if request > 0 {
                pause(random, 300);
            }
            // No byte of a response after the first one: the server had closed the idle connection, which it
            // may.
            let idle = |error: io::Error| if request > 0 { None } else { Some(error) };
            if let Err(error) = send(stream, random, shape, last) {
                return idle(error).map_or(Ok(End::ClosedWhenIdle), Err);
            }
            match answer(stream) {
                Ok(None) => {}
                Ok(Some(what)) => return Ok(End::Lost(format!("{shape:?} {request}: {what}"))),
                Err(Cut { error, bytes: 0 }) => return idle(error).map_or(Ok(End::ClosedWhenIdle), Err),
                Err(Cut { error, bytes }) => {
                    return Ok(End::Lost(format!("{shape:?} {request}: {error} after {bytes} bytes")));
                }
            }
        }
        Ok(End::Answered)
    });
    told.unwrap_or_else(|error| End::Lost(format!("{shape:?}: {error}")))
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    // Closes with a reset, so that connections in TIME_WAIT do not pile up.
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

fn pause(random: &mut ChaCha8Rng, most_ms: u64) {
    sleep(Duration::from_millis(random.random_range(0..most_ms)));
}

fn send(stream: &mut TcpStream, random: &mut ChaCha8Rng, shape: Shape, last: bool) -> io::Result<()> {
    let connection = if last { "close" } else { "keep-alive" };
    if shape == Shape::Body {
        let body = vec![b'x'; random.random_range(1..20_000)];
        let length = body.len();
        let head = format!(
            "POST /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        pause(random, 200);
        return stream.write_all(&body);
    }
    let request = format!("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
    if shape == Shape::Late {
        pause(random, 1500);
    }
    let (first, rest) =
        request.split_at(if shape == Shape::Slow { random.random_range(1..request.len()) } else { 0 });
    if !first.is_empty() {
        stream.write_all(first.as_bytes())?;
        pause(random, 500);
    }
    stream.write_all(rest.as_bytes())
}

/// A truncated response.
struct Cut {
    error: io::Error,
    bytes: usize,
}

/// Reads one response; `None` when it is a complete 200, else a description.
fn answer(stream: &mut TcpStream) -> Result<Option<String>, Cut> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(Cut { error: io::ErrorKind::UnexpectedEof.into(), bytes: bytes.len() }),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Cut { error, bytes: bytes.len() }),
        }
        if is_whole(&bytes) {
            let line = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
            return Ok((!line.contains(" 200 ")).then_some(line));
        }
    }
}

/// Whether the head and the announced body are complete.
fn is_whole(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}
