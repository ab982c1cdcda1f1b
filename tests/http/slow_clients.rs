//! Clients that are slow, idle, broken or gone: none of them blocks a worker or leaks anything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::traffic::half_a_request;
use crate::harness::{Sandbox, Server, eventually, is_alive, says};

fn open(server: &Server) -> u64 {
    server.scoreboard().snapshot().iter().map(|row| row.open).sum()
}

/// A server with two workers and the handlers `hello` and `flood`, which writes endlessly.
fn with_two_workers(listener: &str) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let pids = sandbox.path("flood-pids");
    let flood = format!(
        "#!/bin/sh\necho $$ >>'{}'\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec cat /dev/zero\n",
        pids.display()
    );
    sandbox.handler("flood", flood);
    let server =
        sandbox.start(&["-w", "2", "--listener", listener, "--body-timeout", "1h", "--header-timeout", "1h"]);
    (sandbox, server)
}

#[test]
fn hundreds_of_slow_clients_do_not_block_two_workers() {
    for listener in ["inherited", "reuseport", "round-robin"] {
        let (_sandbox, server) = with_two_workers(listener);
        let mut crowd: Vec<TcpStream> = Vec::new();
        crowd.extend((0..100).map(|_| server.connect()));
        crowd.extend((0..100).map(|_| half_a_request(&server)));
        let half = "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf a body";
        crowd.extend((0..100).map(|_| {
            let mut stream = server.connect();
            stream.write_all(half.as_bytes()).unwrap();
            stream
        }));
        for _ in 0..20 {
            assert_eq!(server.get("/hello").text(), "hello", "{listener}");
        }
        eventually("all of them are held", || open(&server) >= 300);
        for _ in 0..20 {
            assert_eq!(server.get("/hello").text(), "hello", "{listener}");
        }
        // The slow clients are still served.
        for stream in &mut crowd[100..200] {
            stream.write_all(b"t: a\r\n\r\n").unwrap();
        }
        for stream in &mut crowd[100..200] {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            assert!(bytes.starts_with(b"HTTP/1.1 404 "), "{listener}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}

/// The write calls (syscw) of a process.
fn writes(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn one_byte_chunks_do_not_cost_a_system_call_each() {
    let sandbox = Sandbox::new();
    sandbox.handler("length", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec wc -c\n");
    let server = sandbox.start(&["-w", "1"]);
    let worker = server.worker_pids()[0];
    let before = writes(worker);
    let head = "POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = server.raw(format!("{head}{}0\r\n\r\n", "1\r\nx\r\n".repeat(20_000)).as_bytes());
    assert!(answer.ends_with(b"20000\n"), "{:?}", String::from_utf8_lossy(&answer));
    let calls = writes(worker) - before;
    assert!(calls < 5_000, "{calls} calls for 20,000 chunks");
}

#[test]
fn clients_that_disconnect_early_leak_nothing() {
    let (sandbox, server) = with_two_workers("inherited");
    let workers = server.worker_pids();
    let beginnings: [&[u8]; 6] = [
        b"",
        b"GET /hel",
        b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for beginning in beginnings {
        for reset in [false, true] {
            for _ in 0..10 {
                let mut stream = server.connect();
                stream.write_all(beginning).unwrap();
                if reset {
                    // Closed like this, the server sees ECONNRESET instead of EOF.
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        }
    }
    for _ in 0..5 {
        let mut stream = server.connect();
        stream.write_all(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 10_000]).unwrap();
    }
    let pids = std::fs::read_to_string(sandbox.path("flood-pids")).unwrap();
    for pid in pids.lines() {
        eventually("a handler ends whose client has left", || !is_alive(pid.parse().unwrap()));
    }
    assert_eq!(server.get("/hello").text(), "hello");
    eventually("no connection is held", || open(&server) == 0);
    assert_eq!(server.worker_pids(), workers);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}
