//! Built-in responders for measuring: they name the worker and keep connections alive.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::harness::{Response, Sandbox, Server, eventually, pid, read_some};

const RESPONDERS: [&str; 3] = ["fixed", "sleep:const(1ms)", "spin:const(1ms)"];

fn everywhere(test: impl Fn(&Server, &str)) {
    for responder in RESPONDERS {
        let sandbox = Sandbox::new();
        test(&sandbox.start(&["-w", "2", "--respond", responder]), responder);
    }
}

/// The next response on a keep-alive connection: status line, header fields and body.
fn next(reader: &mut impl BufRead, has_body: bool) -> Response {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(reader.read_until(b'\n', &mut head).unwrap(), 0, "the connection ended: {head:?}");
    }
    let mut response = Response::parse(&head);
    let length = response.header("content-length").unwrap().parse().unwrap();
    response.body = vec![0; if has_body { length } else { 0 }];
    reader.read_exact(&mut response.body).unwrap();
    response
}

fn open(server: &Server) -> (TcpStream, BufReader<TcpStream>) {
    let stream = server.connect();
    let reader = BufReader::new(stream.try_clone().unwrap());
    (stream, reader)
}

#[test]
fn every_response_names_its_worker() {
    everywhere(|server, responder| {
        let mut seen = std::collections::BTreeSet::new();
        eventually("both workers have answered", || {
            let response = server.get("/anything/at/all?x");
            assert_eq!((response.status, response.text().as_str()), (200, "hello\n"), "{responder}");
            seen.insert(response.header("caffeine-worker").unwrap().to_owned());
            seen.len() == 2
        });
        assert!(seen.iter().eq(["0", "1"]), "{responder}: {seen:?}");
    });
}

#[test]
fn a_connection_is_kept_alive_when_asked_and_closed_otherwise() {
    everywhere(|server, responder| {
        for (kept, request) in [
            (true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (true, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            (false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            (false, "GET / HTTP/1.0\r\n\r\n"),
        ] {
            let (mut stream, mut reader) = open(server);
            let said = if kept { "keep-alive" } else { "close" };
            for _ in 0..if kept { 3 } else { 1 } {
                stream.write_all(request.as_bytes()).unwrap();
                let response = next(&mut reader, true);
                assert_eq!(response.header("connection"), Some(said), "{responder}, {request}");
            }
            if !kept {
                assert_eq!(read_some(&mut reader, &mut [0; 1]), 0, "{responder}, {request}");
            }
        }
        eventually("connections that their clients closed are let go", || {
            server.scoreboard().snapshot().iter().all(|row| row.open == 0)
        });
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    everywhere(|server, responder| {
        let (mut stream, mut reader) = open(server);
        let mut requests = Vec::new();
        for i in 0..50 {
            let method = if i % 3 == 0 { "HEAD" } else { "GET" };
            write!(requests, "{method} /{i} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        }
        requests.extend(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(&requests).unwrap();
        let first = next(&mut reader, false);
        for i in 1..50 {
            let response = next(&mut reader, i % 3 != 0);
            assert_eq!(response.header("caffeine-worker"), first.header("caffeine-worker"), "{responder}");
            assert_eq!(response.text(), if i % 3 == 0 { "" } else { "hello\n" });
        }
        assert_eq!(next(&mut reader, true).header("connection"), Some("close"), "{responder}");
        assert_eq!(read_some(&mut reader, &mut [0; 1]), 0);
    });
}

#[test]
fn request_bodies_are_read_and_discarded() {
    everywhere(|server, responder| {
        let (mut stream, mut reader) = open(server);
        let large = vec![b'x'; 3 << 20];
        for _ in 0..2 {
            write!(stream, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", large.len()).unwrap();
            stream.write_all(&large).unwrap();
            assert_eq!(next(&mut reader, true).status, 200, "{responder}");
            let chunked =
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
            stream.write_all(chunked.as_bytes()).unwrap();
            assert_eq!(next(&mut reader, true).status, 200, "{responder}");
        }
    });
}

#[test]
fn a_silent_kept_alive_connection_is_closed_without_a_response() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["--respond", "fixed", "--header-timeout", "200ms"]);
    let (mut stream, mut reader) = open(&server);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    next(&mut reader, true);
    assert_eq!(read_some(&mut reader, &mut [0; 1]), 0);
}

#[test]
fn a_worker_is_occupied_for_the_sampled_time() {
    for responder in ["sleep:const(50ms)", "spin:const(50ms)"] {
        let sandbox = Sandbox::new();
        let server = sandbox.start(&["-w", "1", "--respond", responder]);
        let begun = Instant::now();
        for _ in 0..4 {
            server.get("/");
        }
        assert!(begun.elapsed() >= Duration::from_millis(200), "{responder}: {:?}", begun.elapsed());
        let busy: u64 = server.scoreboard().snapshot().iter().map(|row| row.busy_ns).sum();
        assert!(busy >= 150_000_000, "{responder}: busy for {busy} ns");
    }
}

#[test]
fn a_request_can_set_how_long_it_occupies_a_worker() {
    for responder in ["sleep:const(0s)", "spin:const(0s)"] {
        let sandbox = Sandbox::new();
        let server = sandbox.start(&["-w", "1", "--respond", responder]);
        let begun = Instant::now();
        assert_eq!(server.get("/x?a&occupy=60ms").status, 200, "{responder}");
        assert!(begun.elapsed() >= Duration::from_millis(60), "{responder}: {:?}", begun.elapsed());
        assert_eq!(server.get("/?occupy=long").status, 200, "{responder}");
    }
}

/// Which of the next draws of `sleep:bimodal(0.5,0s,100ms)` are long.
fn path(server: &Server) -> Vec<bool> {
    let busy_ns = || server.scoreboard().snapshot().iter().map(|row| row.busy_ns).sum::<u64>();
    let next = || {
        let before = busy_ns();
        assert_eq!(server.get("/").status, 200);
        eventually("the request is counted", || busy_ns() > before);
        busy_ns() - before >= 100_000_000
    };
    std::iter::repeat_with(next).take(16).collect()
}

#[test]
fn workers_draw_by_their_seed_and_never_the_same_twice() {
    let start = |sandbox: &Sandbox, options: &[&str]| {
        let bimodal = ["-w", "1", "--respond", "sleep:bimodal(0.5,0s,100ms)"];
        sandbox.start(&[&bimodal, options].concat())
    };
    let sandboxes = [(); 3].map(|()| Sandbox::new());
    let [first, again, other] = [("1", 0), ("1", 1), ("2", 2)]
        .map(|(seed, index)| path(&start(&sandboxes[index], &["--seed", seed])));
    assert_eq!(first, again, "the same seed");
    assert_ne!(first, other, "another seed");

    let sandbox = Sandbox::new();
    let server = start(&sandbox, &["--seed", "1"]);
    let worker = server.worker_pids()[0];
    kill(pid(worker), Signal::SIGKILL).unwrap();
    eventually("the worker is replaced", || matches!(server.worker_pids()[..], [new] if new != worker));
    assert_ne!(path(&server), first, "a worker that replaces another");
    let worker = server.worker_pids()[0];
    server.signal(Signal::SIGHUP);
    eventually("the worker is renewed", || matches!(server.worker_pids()[..], [new] if new != worker));
    assert_ne!(path(&server), first, "the next generation");

    let unseeded = [(); 2].map(|()| Sandbox::new());
    let [one, two] = [0, 1].map(|index| path(&start(&unseeded[index], &[])));
    assert_ne!(one, two, "two starts without a seed");
}
