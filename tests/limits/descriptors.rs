//! Descriptors when few are left: which connections get the last ones, and what happens to the others.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::traffic::{begin, counters};
use crate::harness::{Response, Sandbox, Server, eventually, says};
use crate::limits::exhaustion::start_within;

const PATIENT: [&str; 6] = ["-w", "1", "--header-timeout", "1h", "--body-timeout", "1h"];

fn send(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut client = server.connect();
    client.write_all(bytes).unwrap();
    client
}

#[test]
fn slow_bodies_leave_descriptors_for_others() {
    for more in [&["--max-handlers", "50"][..], &["--listener", "dispatch"], &["--listener", "uring"]] {
        let sandbox = Sandbox::new();
        sandbox.handler("hello", says("hello"));
        let server = start_within(&sandbox, 128, &[&PATIENT, more].concat());
        let mut slow: Vec<TcpStream> = (0..70).map(|_| send(&server, b"P")).collect();
        eventually("they are held", || counters(&server)[0].open == 70);
        // Each body needs one more descriptor.
        for client in &mut slow[..36] {
            client.write_all(b"OST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx").unwrap();
        }
        let mut refused = 0;
        for client in &mut slow[..36] {
            let mut status = [0; 12];
            client.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
            refused += u32::from(client.read_exact(&mut status).is_ok() && status == *b"HTTP/1.1 503");
        }
        assert!(refused > 10, "{more:?}: those for whom there is none are told so, {refused} of them");
        for _ in 0..8 {
            assert_eq!(server.get("/hello").text(), "hello", "{more:?}");
        }
    }
}

#[test]
fn with_handlers_for_every_descriptor_no_connection_is_lost() {
    for listener in ["inherited", "dispatch", "least-loaded"] {
        let sandbox = Sandbox::new();
        let end = sandbox.path("end");
        let script = format!(
            "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nuntil [ -e '{}' ]; do sleep 0.1; done\n",
            end.display()
        );
        sandbox.handler("long", script);
        // Watching a handler takes a descriptor.
        // No client is slow: TCP_DEFER_ACCEPT keeps silent connections out of the queue.
        let quick = ["--defer-accept", "5s"];
        let arguments = [&["-w", "1", "--max-handlers", "1000", "--listener", listener][..], &quick].concat();
        let server = start_within(&sandbox, 64, &arguments);
        let clients: Vec<_> = (0..80).map(|_| begin(&server, "/long")).collect();
        eventually("all run", || counters(&server)[0].launched == 80);
        assert_eq!(server.scoreboard().handlers(), 80, "{listener}");
        std::fs::write(end, "").unwrap();
        for client in clients {
            assert_eq!(client.finish().status, 200, "{listener}");
        }
    }
}

#[test]
fn answered_clients_do_not_count_against_max_connections() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-w", "1", "--max-connections", "20"]);
    let mut clients: Vec<TcpStream> =
        (0..200).map(|_| send(&server, b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut most = 0;
    eventually("all were answered", || {
        let row = counters(&server).remove(0);
        most = most.max(row.open);
        row.answered[3] == 200
    });
    assert!(most <= 21, "{most} were open");
    assert_eq!(counters(&server)[0].answered[4], 0, "who has had an answer gets no second one");
    for client in &mut clients {
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert_eq!(Response::parse(&answer).status, 404);
    }
}
