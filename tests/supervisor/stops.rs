//! Graceful stops under a load of new connections, as an ordinary user: each connection is served or refused.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::harness::sys::seccomp::Call;
use caffeine::listener::Loss;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::harness::traffic::{begin, counters, signal, state};
use crate::harness::{Sandbox, Server, eventually, is_alive};
use crate::listener::contract::{number, over_tcp};

/// An ordinary user.
const ORDINARY: u32 = 65_534;
/// A refused client notices it within this time.
const PATIENCE: Duration = Duration::from_millis(250);
const CLIENTS: u32 = 4;

/// Runs the server as an ordinary user where the tests run as root.
pub fn as_ordinary_user(sandbox: &Sandbox, command: &mut Command) {
    if !geteuid().is_root() {
        return;
    }
    let program = sandbox.path("caffeine");
    // By another process: a child forked by another test meanwhile would hold the file open for writing.
    let copied = Command::new("cp").arg(command.get_program()).arg(&program).status().unwrap();
    assert!(copied.success());
    own(&sandbox.path(""));
    let mut other = Command::new(&program);
    other.args(command.get_args()).current_dir(sandbox.path("")).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other.uid(ORDINARY).gid(ORDINARY);
    *command = other;
}

/// Gives a directory with its contents to the ordinary user.
fn own(path: &Path) {
    chown(path, Some(ORDINARY), Some(ORDINARY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| own(&entry.unwrap().path()));
    }
}

fn start(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let arguments = [&["--respond", "fixed", "--log-level", "WARN"], arguments].concat();
    let server = sandbox.start_with(&arguments, |command| as_ordinary_user(&sandbox, command));
    (sandbox, server)
}

/// New connections at a fixed rate, each with one request.
struct Load {
    address: SocketAddr,
    answered: AtomicUsize,
    turned_away: AtomicUsize,
    lost: Mutex<Vec<String>>,
    begun: Instant,
    over: AtomicBool,
}

impl Load {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            answered: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
            lost: Mutex::new(Vec::new()),
            begun: Instant::now(),
            over: AtomicBool::new(false),
        }
    }

    /// One client: connects every `period`, whether or not the last connection succeeded.
    fn client(&self, period: Duration) {
        let mut due = Instant::now();
        while !self.over.load(SeqCst) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due = (due + period).max(Instant::now() - period);
            let Ok(stream) = TcpStream::connect_timeout(&self.address, PATIENCE) else {
                self.turned_away.fetch_add(1, SeqCst);
                continue;
            };
            let connected = self.begun.elapsed();
            match exchange(stream) {
                Ok(()) => drop(self.answered.fetch_add(1, SeqCst)),
                Err(error) => {
                    self.lost.lock().unwrap().push(format!("connected at {connected:?}: {error}"));
                }
            }
        }
    }

    /// Runs `during` under a load of this many connections per second; returns what was lost.
    fn around(&self, rate: u32, during: impl FnOnce()) {
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.client(Duration::from_secs(1) * CLIENTS / rate));
            }
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
            self.over.store(true, SeqCst);
            ended.unwrap();
        });
    }
}

fn exchange(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{} bytes of an answer", answer.len())))
    }
}

/// Starts a server, stops it under load after some responses, and expects that no client was reset.
fn stop_under_load(arguments: &[&str], host: &str, rate: u32, after: usize) {
    let (_sandbox, mut server) = start(arguments);
    let load = Load::new(SocketAddr::new(host.parse().unwrap(), server.port()));
    let mut told = Duration::ZERO;
    load.around(rate, || {
        eventually("the load has begun", || load.answered.load(SeqCst) >= after);
        told = load.begun.elapsed();
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().0, Some(0));
        let seen = load.turned_away.load(SeqCst);
        eventually("clients are turned away", || load.turned_away.load(SeqCst) > seen);
    });
    let lost = load.lost.lock().unwrap();
    assert!(lost.is_empty(), "{arguments:?}: told to stop at {told:?}: {lost:#?}\n{}", server.log());
}

/// In the environment, `STOPS` and `RATE` (connections per second) make it longer and harder.
#[test]
fn a_stop_by_an_ordinary_user_resets_no_client() {
    let (stops, rate) = (number("STOPS", 10), number("RATE", 400));
    over_tcp(|_, listener| {
        for round in 0..stops {
            let after = 20 + round * 7 % 13;
            stop_under_load(&["--listener", &listener.strategy, "-w", "4"], "127.0.0.1", rate as u32, after);
        }
    });
}

/// Connects until the server drops an attempt, then checks that it keeps dropping them. The first one has longer, so that it is
/// not taken for dropped when it is only late.
fn is_turned_away(address: SocketAddr) {
    let attempt =
        |ms| TcpStream::connect_timeout(&address, Duration::from_millis(ms)).err().map(|e| e.kind());
    eventually("a new connection is turned away", || attempt(250).is_some());
    for _ in 0..4 {
        assert_eq!(attempt(100), Some(ErrorKind::TimedOut), "{address}");
    }
}

/// Stops a server while a suspended worker (SIGSTOP) holds the sockets: until it is resumed, new connections
/// are dropped; queued ones are served.
fn stop_with_a_held_worker(server: &mut Server, host: &str) {
    let address = SocketAddr::new(host.parse().unwrap(), server.port());
    let workers = counters(server);
    workers.iter().for_each(|row| signal(row, Signal::SIGSTOP));
    eventually("they are stopped", || workers.iter().all(|row| state(row.pid as u32) == 'T'));
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            client
        })
        .collect();
    server.signal(Signal::SIGTERM);
    is_turned_away(address);
    workers[1..].iter().for_each(|row| signal(row, Signal::SIGCONT));
    eventually("the others have left", || workers[1..].iter().all(|row| !is_alive(row.pid as u32)));
    is_turned_away(address);
    signal(&workers[0], Signal::SIGCONT);
    for mut client in waiting {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
    }
    assert_eq!(server.wait().0, Some(0), "{}", server.log());
    let refused = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn during_a_stop_new_connections_are_dropped_and_queued_ones_served() {
    over_tcp(|_, listener| {
        for (bind, host) in [("127.0.0.1", "127.0.0.1"), ("::", "::1"), ("::", "127.0.0.1")] {
            for defer in ["0s", "1s"] {
                if std::net::TcpListener::bind((bind, 0)).is_err() {
                    continue;
                }
                let more =
                    ["--bind", bind, "-w", "3", "--listener", &listener.strategy, "--defer-accept", defer];
                let (_sandbox, mut server) = start(&more);
                stop_with_a_held_worker(&mut server, host);
                assert!(!server.log().contains("cannot"), "{listener} {bind}: {}", server.log());
            }
        }
    });
}

#[test]
fn without_bpf_the_sockets_drop_connections_during_a_stop_with_one_warning() {
    const SO_ATTACH_REUSEPORT_CBPF: u64 = 51;
    for listener in ["inherited", "reuseport", "dispatch"] {
        let sandbox = Sandbox::new();
        let refuse = |call: &Call| (call.arguments[2] == SO_ATTACH_REUSEPORT_CBPF).then_some(libc::EPERM);
        let arguments = ["--respond", "fixed", "-w", "3", "--listener", listener, "--log-level", "WARN"];
        let Some(mut server) = sandbox.start_behind(&[libc::SYS_setsockopt], refuse, &arguments) else {
            return;
        };
        let log = server.folder().log();
        stop_with_a_held_worker(&mut server, "127.0.0.1");
        let text = fs::read_to_string(log).unwrap();
        assert_eq!(text.matches("cannot divert new connections").count(), 1, "{text}");
    }
}

#[test]
fn the_port_is_free_immediately_after_a_stop() {
    for listener in ["inherited", "reuseport", "reuseport:private", "dispatch"] {
        let sandbox = Sandbox::new();
        let config = sandbox.write("c.toml", "workers = 1\nrespond = \"fixed\"\n");
        let arguments = ["-n", "lab", "-c", config.to_str().unwrap(), "--listener", listener];
        let mut server = sandbox.start(&arguments);
        let port = server.port().to_string();
        // Sockets closed by a reload leave connections in TIME_WAIT too.
        sandbox.write("c.toml", "workers = 4\nrespond = \"fixed\"\n");
        sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        for signals in [&[Signal::SIGTERM][..], &[Signal::SIGTERM, Signal::SIGTERM], &[Signal::SIGQUIT]] {
            (0..20).for_each(|_| assert_eq!(server.get("/").status, 200));
            signals.iter().for_each(|&signal| server.signal(signal));
            assert_eq!(server.wait().0, Some(0), "{listener} {signals:?}");
            server = sandbox.start(&[&arguments[..], &["-p", &port]].concat());
        }
        server.stop();
    }
}

#[test]
fn a_stop_while_all_workers_are_dead_serves_what_waits() {
    over_tcp(|choice, listener| {
        if choice.promises().crash != Loss::Nothing {
            return;
        }
        let (_sandbox, mut server) = start(&["-w", "3", "--listener", &listener.strategy]);
        let workers = counters(&server);
        workers.iter().for_each(|row| signal(row, Signal::SIGSTOP));
        eventually("they are stopped", || workers.iter().all(|row| state(row.pid as u32) == 'T'));
        let waiting: Vec<_> = (0..10).map(|_| begin(&server, "/")).collect();
        workers.iter().for_each(|row| signal(row, Signal::SIGKILL));
        server.signal(Signal::SIGTERM);
        waiting.into_iter().for_each(|client| assert_eq!(client.finish().status, 200));
        assert_eq!(server.wait().0, Some(0), "{}", server.log());
    });
}
