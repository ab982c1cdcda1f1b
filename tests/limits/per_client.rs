//! `--max-per-client`: one address takes no more than its share, and gives all of it back whatever dies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use caffeine::http::refusal::KINDS;
use socket2::{Domain, Socket, Type};

use crate::handlers::keeper::BLOWS;
use crate::handlers::orphans::{kill_worker, long_handler, pids, with_long};
use crate::harness::traffic::{begin, counters, half_a_request};
use crate::harness::{DEADLINE, Response, Sandbox, Server, eventually, read_some, says};
use crate::http::statuses::assert_own;

/// Sends these bytes from 127.0.0.2.
fn from_another(server: &Server, bytes: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], server.port())).into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

fn rest(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Response::parse(&bytes)
}

/// Refusals for this limit.
fn refusals(server: &Server) -> u64 {
    let kind = KINDS.iter().position(|(_, word)| *word == "max_per_client").unwrap();
    server.scoreboard().refusals()[kind]
}

#[test]
fn beyond_max_per_client_an_address_gets_429_and_others_are_served() {
    for response in ["native", "document"] {
        let sandbox = Sandbox::new();
        let status = if response == "native" { "HTTP/1.1 200 OK" } else { "Status: 200 OK" };
        for (name, run) in [("long", "echo $$ >>pids; until [ -e go ]; do sleep 0.02; done"), ("hello", ":")]
        {
            let home = sandbox.path("").display().to_string();
            sandbox.handler(
                name,
                format!("#!/bin/sh\ncd {home}\nprintf '{status}\\r\\n\\r\\n'; {run}; printf {name}\n"),
            );
        }
        let arguments = ["-n", "lab", "-w", "2", "--max-per-client", "2", "--response", response];
        let server = sandbox.start(&arguments);
        let pending = [begin(&server, "/long"), begin(&server, "/long")];
        pids(&sandbox, 2);
        for _ in 0..3 {
            let refused = server.get("/hello");
            assert_own(&refused, 429, "one too many");
            assert!(refused.header("retry-after").is_some());
        }
        assert_eq!(server.get("/missing").status, 404, "no handler is needed to tell");
        let get = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(rest(&mut from_another(&server, get)).status, 200);
        std::fs::write(sandbox.path("go"), "").unwrap();
        pending.into_iter().for_each(|one| assert!(one.finish().text().contains("long")));
        eventually("there is a place", || server.get("/hello").status == 200);
        assert!(refusals(&server) >= 3);
        let metrics = sandbox.caffeine(&["-n", "lab", "--metrics"]).succeeds().stdout;
        assert!(metrics.contains("status=\"429\",reason=\"max_per_client\""), "{metrics}");
        eventually("the log says so", || server.log().contains("outcome=429 reason="));
    }
}

#[test]
fn slow_connections_of_an_address_are_limited_apart_from_its_handlers() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "2", "--max-per-client", "5", "--header-timeout", "1h"]);
    let open = || counters(&server).iter().map(|row| row.open).sum::<u64>();
    let mut held: Vec<TcpStream> = (0..5).map(|_| half_a_request(&server)).collect();
    eventually("all are held", || open() == 5);
    for _ in 0..3 {
        let refused = rest(&mut half_a_request(&server));
        assert_own(&refused, 429, "one too many");
        assert_eq!(server.get("/hello").text(), "hello", "a whole request needs no place");
    }
    let mut other = from_another(&server, b"GET /hello HTTP/1.1\r\nHos");
    eventually("another address is held", || open() >= 6);
    other.write_all(b"t: a\r\n\r\n").unwrap();
    assert_eq!(rest(&mut other).text(), "hello");
    held.truncate(3);
    eventually("there is room again", || open() == 3);
    let mut late = half_a_request(&server);
    eventually("it is held", || open() == 4);
    late.write_all(b"t: a\r\n\r\n").unwrap();
    assert_eq!(rest(&mut late).status, 404);
    // Those that wait for their client to close after an answer are bounded too.
    let before = refusals(&server);
    let _refused: Vec<TcpStream> = (0..40).map(|_| half_a_request(&server)).collect();
    eventually("all but two are refused", || refusals(&server) >= before + 38);
    // Twice the limit, and one for each worker that is just being accepted.
    assert!(open() <= 12, "{} of one address are open", open());
}

#[test]
fn running_handlers_count_for_their_client_whatever_dies() {
    let (sandbox, server) = with_long(&["-w", "1", "--max-per-client", "1"]);
    sandbox.handler("hello", says("hello"));
    let pending = begin(&server, "/long");
    pids(&sandbox, 1);
    for (what, strike) in BLOWS {
        assert_eq!(server.get("/hello").status, 429, "before a {what}");
        strike(&server);
        for _ in 0..3 {
            assert_eq!(server.get("/hello").status, 429, "after a {what}");
        }
    }
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(pending.finish().text(), "begun ended\n");
    eventually("there is a place", || server.get("/hello").status == 200);
}

#[test]
fn a_killed_worker_or_handler_gives_its_share_back() {
    let sandbox = Sandbox::new();
    sandbox.handler("dies", says("dying") + "kill -9 $$\n");
    sandbox.handler("kills", says("killing") + "kill -9 $PPID\n");
    let server = sandbox.start(&["-w", "1", "--max-per-client", "2", "--header-timeout", "1h"]);
    let held = || {
        let held: Vec<TcpStream> = (0..2).map(|_| half_a_request(&server)).collect();
        eventually("they are held", || counters(&server)[0].open == 2);
        held
    };
    for _ in 0..3 {
        let _lost = held();
        kill_worker(&server);
    }
    let kept = held();
    assert_eq!(refusals(&server), 0);
    assert_eq!(rest(&mut half_a_request(&server)).status, 429);
    drop(kept);
    for handler in ["/dies", "/kills"] {
        for _ in 0..3 {
            eventually("its share is free", || {
                let (mut client, mut answer) = (server.connect(), Vec::new());
                // A worker that has just been killed may have had this connection.
                let _ = client.write_all(format!("GET {handler} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
                let _ = client.read_to_end(&mut answer);
                answer.starts_with(b"HTTP/1.1 200")
            });
            eventually("a worker serves", || server.worker_pids()[0] != 0);
        }
    }
}

#[test]
fn a_client_that_asks_one_after_another_is_not_refused_by_chance() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "2", "--max-per-client", "1"]);
    // The end of a handler is known a moment after its client knows it. On a busy machine that can be too late.
    let served = (0..50).filter(|_| server.get("/hello").status == 200).count();
    assert!(served > 40, "{served} of 50");
}

#[test]
fn peers_through_a_unix_socket_have_no_address_and_no_limit() {
    let sandbox = Sandbox::new();
    long_handler(&sandbox);
    let path = sandbox.path("socket");
    let server = sandbox.start(&["--bind", &format!("unix:{}", path.display()), "--max-per-client", "1"]);
    let mut clients: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    pids(&sandbox, 3);
    std::fs::write(sandbox.path("go"), "").unwrap();
    clients.iter_mut().for_each(|client| assert!(read_some(client, &mut [0; 100]) > 0));
    drop(server);
}

#[test]
fn a_request_counts_for_the_client_that_a_trusted_proxy_names() {
    let sandbox = Sandbox::new();
    long_handler(&sandbox);
    sandbox.handler("hello", says("hello"));
    let arguments = ["-w", "1", "--max-per-client", "1", "--header-timeout", "1h"];
    let server = sandbox.start(&[&arguments[..], &["--trusted-proxy", "127.0.0.1"]].concat());
    let get = |path: &str, client: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nConnection: close\r\n\r\n")
    };
    let mut running = server.connect();
    running.write_all(get("/long", "192.0.2.1").as_bytes()).unwrap();
    pids(&sandbox, 1);
    for (client, status) in [("192.0.2.1", 429), ("198.51.100.9, 192.0.2.1", 429), ("192.0.2.2", 200)] {
        let response = Response::parse(&server.raw(get("/hello", client).as_bytes()));
        assert_eq!(response.status, status, "{client}");
    }
    let _slow: Vec<TcpStream> = (0..4).map(|_| half_a_request(&server)).collect();
    eventually("the proxy may hold more", || counters(&server)[0].open == 4);
    assert_eq!(refusals(&server), 2);
    std::fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(rest(&mut running).text(), "begun ended\n");
}
