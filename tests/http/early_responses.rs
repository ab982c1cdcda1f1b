//! Responses of the server before or during a body reach clients that read only after sending everything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::harness::traffic::half_a_request;
use crate::harness::{Response, Sandbox, Server, eventually, says};
use crate::http::statuses::assert_own;

const MB: usize = 1_000_000;

/// The handlers `hello`, `forbidden` and `broken`.
fn with_handlers(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox.handler("broken", "#!/no/such/interpreter\n");
    sandbox.write(".config/caffeine/forbidden", "not executable");
    let server = sandbox.start(arguments);
    (sandbox, server)
}

/// Sends everything before it reads, as nginx does for its clients.
#[track_caller]
fn send_all_then_read(server: &Server, head: &str, body: &[u8]) -> Response {
    let mut stream = server.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Response::parse(&answer)
}

fn post(target: &str, length: usize) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

fn lingering(server: &Server) -> u64 {
    server.scoreboard().used().map(|row| row.lingering.load(std::sync::atomic::Ordering::Relaxed)).sum()
}

fn open(server: &Server) -> u64 {
    server.scoreboard().snapshot().iter().map(|row| row.open).sum()
}

#[test]
fn every_early_response_reaches_a_client_that_sends_five_megabytes_first() {
    let (_sandbox, server) = with_handlers(&["-w", "2", "--max-body", "4MiB"]);
    let body = vec![b'x'; 5 * MB];
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let chunks = [chunk.repeat(80), b"0\r\n\r\n".to_vec()].concat();
    let chunked = |target| format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let length = |fields: &str| format!("POST /hello HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n", 4 * MB);
    let large = format!("Host: a\r\nX: {}\r\n", "x".repeat(70_000));
    let cases = [
        (404, post("/missing", 4 * MB), &body[..4 * MB]),
        (404, chunked("/missing"), &chunks),
        (403, post("/forbidden", 4 * MB), &body[..4 * MB]),
        (413, post("/hello", 5 * MB), &body),
        (413, chunked("/hello"), &chunks),
        (400, length(""), &body),
        (400, length("Host: a\r\nNo Name: 1\r\n"), &body),
        (400, chunked("/hello"), &body),
        (417, length("Host: a\r\nExpect: miracles\r\n"), &body),
        (431, length(&large), &body),
        (501, format!("{}Transfer-Encoding: gzip, chunked\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n"), &body),
        (500, post("/broken", 4 * MB), &body[..4 * MB]),
    ];
    for (status, head, body) in &cases {
        for _ in 0..5 {
            let answer = send_all_then_read(&server, head, body);
            assert_own(&answer, *status, &head[..head.len().min(80)]);
        }
    }
    eventually("none lingers any more", || lingering(&server) == 0 && open(&server) == 0);
}

#[test]
fn a_client_sending_a_body_at_max_connections_receives_the_503() {
    let (_sandbox, server) = with_handlers(&["-w", "1", "--max-connections", "2"]);
    let held = [half_a_request(&server), half_a_request(&server)];
    eventually("all connection slots are taken", || open(&server) == 2);
    for _ in 0..20 {
        let answer = send_all_then_read(&server, &post("/hello", 5 * MB), &vec![b'x'; 5 * MB]);
        assert_own(&answer, 503, "more than --max-connections");
    }
    drop(held);
}

#[test]
fn a_client_sending_a_body_too_slowly_receives_the_408() {
    let (_sandbox, server) = with_handlers(&["-w", "1", "--body-timeout", "200ms"]);
    let mut stream = server.connect();
    stream.write_all(post("/hello", 5 * MB).as_bytes()).unwrap();
    eventually("it is answered", || lingering(&server) == 1);
    stream.write_all(&vec![b'x'; 5 * MB]).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_own(&Response::parse(&answer), 408, "too slow");
}

#[test]
fn a_python_client_receives_every_early_response() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let (_sandbox, server) = with_handlers(&["-w", "2", "--max-body", "4MiB"]);
    let script = "
import http.client, sys
body = b'x' * 5_000_000
for status, target, size in [(404, '/missing', 4_000_000), (403, '/forbidden', 4_000_000), (413, '/hello', 5_000_000)]:
    for _ in range(100):
        client = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=30)
        client.request('POST', target, body[:size])
        answer = client.getresponse()
        assert (answer.status, answer.read()[:3]) == (status, str(status).encode()), answer.status
        client.close()
";
    let run = Command::new("python3").args(["-c", script, &server.port().to_string()]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// A client that has its 404 and keeps sending a little at a time.
fn lingerer(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(post("/missing", 500 * MB).as_bytes()).unwrap();
    stream.write_all(b"some of it").unwrap();
    stream
}

#[test]
fn lingering_connections_are_capped_and_take_no_slot_from_others() {
    let (_sandbox, server) = with_handlers(&["-w", "1", "--max-connections", "20"]);
    let crowd: Vec<TcpStream> = (0..100).map(|_| lingerer(&server)).collect();
    eventually("lingering connections reach their cap", || lingering(&server) == 20 && open(&server) == 20);
    let mut late = half_a_request(&server);
    eventually("one that is slow is waited for", || open(&server) == 21);
    assert_eq!(server.get("/hello").text(), "hello");
    late.write_all(b"t: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    late.read_to_end(&mut answer).unwrap();
    assert_eq!(Response::parse(&answer).status, 404);
    drop(crowd);
    eventually("all are gone", || open(&server) == 0);
}

#[test]
fn a_lingering_client_below_the_minimum_rate_is_dropped() {
    let (_sandbox, server) = with_handlers(&["-w", "1"]);
    let mut slow = lingerer(&server);
    let mut read = slow.try_clone().unwrap();
    let mut answer = Vec::new();
    read.read_to_end(&mut answer).unwrap();
    assert_own(&Response::parse(&answer), 404, "a little at a time");
    eventually("it is closed", || {
        let _ = slow.write_all(b"x");
        open(&server) == 0
    });
}

#[test]
fn a_stop_does_not_wait_for_lingering_connections() {
    let (_sandbox, server) = with_handlers(&["-w", "2", "--grace", "1h"]);
    let _crowd: Vec<TcpStream> = (0..10).map(|_| lingerer(&server)).collect();
    eventually("they linger", || lingering(&server) == 10);
    server.stop();
}
