//! Clients for tests under load: requests that are begun and finished later, and loads with a tally.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use caffeine::scoreboard::Counters;
use nix::sys::signal::{Signal, kill};

use crate::harness::standstill::Instance;
use crate::harness::{Response, Server, eventually, pid};

/// The scoreboard rows of the current generation by worker number.
pub fn counters(server: &Server) -> Vec<Counters> {
    server.scoreboard().snapshot()
}

/// Sends a signal to a worker.
pub fn signal(row: &Counters, signal: Signal) {
    let sent = kill(pid(u32::try_from(row.pid).unwrap()), signal);
    // It may have been reaped after its row was read.
    assert!(matches!(sent, Ok(()) | Err(nix::errno::Errno::ESRCH)), "{sent:?}");
}

/// The state of a process's main thread: S for sleeping, T for stopped.
pub fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?')
}

/// The oom_score_adj of a process.
pub fn oom_points(pid: u32) -> i32 {
    std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap()
}

/// The living children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// A request whose response is read later.
pub struct Pending {
    stream: TcpStream,
    instance: Instance,
}

/// Sends a GET.
pub fn begin(server: &Server, target: &str) -> Pending {
    let mut stream = server.connect();
    // In one piece: write!() would send several, like a slow client.
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    Pending { stream, instance: Instance::of(server) }
}

impl Pending {
    /// Whether the response or the end of the connection has arrived.
    pub fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads the answer to its end.
    #[track_caller]
    pub fn finish(mut self) -> Response {
        Response::parse(&self.instance.read_to_end(&mut self.stream).unwrap())
    }
}

/// A client that sends half a request.
pub fn half_a_request(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHos").unwrap();
    stream
}

/// How the requests of a load ended.
#[derive(Debug, Default)]
pub struct Tally {
    answered: AtomicUsize,
    refused: AtomicUsize,
    lost: AtomicUsize,
}

impl Tally {
    /// Refused connections.
    pub fn refused(&self) -> usize {
        self.refused.load(SeqCst)
    }

    /// Accepted connections without a complete response.
    pub fn lost(&self) -> usize {
        self.lost.load(SeqCst)
    }

    fn request(&self, server: &Server) {
        let Ok(stream) = server.place().connect() else {
            self.refused.fetch_add(1, SeqCst);
            return std::thread::sleep(Duration::from_millis(5));
        };
        let counter = if answered(stream, &Instance::of(server)).unwrap_or(false) {
            &self.answered
        } else {
            &self.lost
        };
        counter.fetch_add(1, SeqCst);
    }
}

fn answered(mut stream: TcpStream, instance: &Instance) -> io::Result<bool> {
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let answer = instance.read_to_end(&mut stream)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"hello\n"))
}

/// Sends requests from `clients` threads while `during` runs.
pub fn under_load(server: &Server, clients: usize, during: impl FnOnce()) -> Tally {
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    tally.request(server);
                }
            });
        }
        // Even if `during` panics, so that the threads end.
        let _over = OnDrop(&over);
        eventually("the load has begun", || tally.answered.load(SeqCst) > 3 * clients);
        during();
    });
    tally
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
