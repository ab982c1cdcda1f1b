//! Every status that the server sends itself, on the wire.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::harness::traffic::begin;
use crate::harness::{Response, Sandbox, Server, eventually, executed_by, says};

/// A handler that creates a file as proof that it ran.
pub fn leaves(mark: &Path) -> String {
    format!("#!/bin/sh\n: >'{}'\n{}", mark.display(), says("ran").trim_start_matches("#!/bin/sh\n"))
}

/// A server with the handlers `hello` and `mark`, and the file that `mark` creates.
pub fn with_mark(arguments: &[&str]) -> (Sandbox, Server, PathBuf) {
    let sandbox = Sandbox::new();
    let mark = sandbox.path("mark-ran");
    sandbox.handler("hello", says("hello"));
    sandbox.handler("mark", leaves(&mark));
    let server = sandbox.start(arguments);
    (sandbox, server, mark)
}

#[track_caller]
pub fn answer(server: &Server, request: impl AsRef<[u8]>) -> Response {
    Response::parse(&server.raw(request.as_ref()))
}

/// Checks a response of the server itself: complete, with a length, the last one on its connection.
#[track_caller]
pub fn assert_own(response: &Response, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {response:?}");
    assert_eq!(response.header("connection"), Some("close"), "{what}: {response:?}");
    assert_eq!(response.header("content-length"), Some(&*response.body.len().to_string()), "{what}");
    assert!(response.text().starts_with(&format!("{status} ")), "{what}: {response:?}");
    assert!(response.header("date").is_some_and(|date| date.ends_with(" GMT")), "{what}: {response:?}");
}

#[test]
fn malformed_requests_get_400_and_execute_nothing() {
    let (_sandbox, server, mark) = with_mark(&[]);
    let heads = [
        "GET /mark\r\n\r\n",
        "GET /mark HTTP/1.1\r\n\r\n",
        "GET /mark HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /mark HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /mark HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /mark HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        "GET /mark HTTP/1.1\nHost: a\n\n",
        "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n",
        "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n",
        "GET  /mark HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /mark#f HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET mark HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET file:///mark HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /mark%2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /mark/%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET /mark HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03 a client that speaks TLS\r\n\r\n",
    ];
    for head in heads {
        assert_own(&answer(&server, head), 400, head);
    }
    let framings = [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551621\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \r\n",
    ];
    for framing in framings {
        let request = format!("POST /mark HTTP/1.1\r\nHost: a\r\n{framing}\r\nhello");
        assert_own(&answer(&server, request), 400, framing);
    }
    let chunks =
        ["zz\r\n", "-5\r\n", "0x5\r\n", "FFFFFFFFFFFFFFFF5\r\n", "5;\n", "5\rX", "5\r\nhelloworld", "\r\n"];
    for chunk in chunks {
        let request = format!("POST /mark HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
        assert_own(&answer(&server, request), 400, chunk);
    }
    let old = "POST /mark HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_own(&answer(&server, old), 400, "chunked in HTTP/1.0");
    server.stop();
    assert!(!mark.exists());
}

#[test]
fn missing_handlers_get_404_and_forbidden_ones_403() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/caffeine/secret", "#!/bin/sh\necho the text of a handler\n");
    sandbox.write(".config/caffeine/directory/file", "");
    sandbox.handler(".hidden", says("hidden"));
    nix::unistd::mkfifo(&sandbox.path(".config/caffeine/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let server = sandbox.start(&[]);
    for target in
        ["/missing", "/", "/directory", "/directory/", "/fifo", "/.hidden", "/%2ehidden", "/missing?x"]
    {
        assert_own(&server.get(target), 404, target);
    }
    let forbidden = server.get("/secret");
    assert_own(&forbidden, 403, "/secret");
    assert!(!forbidden.text().contains("the text"), "{forbidden:?}");
}

#[test]
fn failures_of_the_server_have_distinct_statuses() {
    let (_sandbox, server, mark) = with_mark(&[]);
    let long = "x".repeat(9000);
    let large = format!("X-Large: {}\r\n", "x".repeat(70_000));
    let many: String = (0..150).map(|i| format!("X-{i}: 1\r\n")).collect();
    let cases = [
        (414, format!("GET /mark?{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        (414, format!("GET /mark?{long}")),
        (431, format!("GET /mark HTTP/1.1\r\nHost: a\r\n{large}\r\n")),
        (431, format!("GET /mark HTTP/1.1\r\nHost: a\r\n{}", &large[..large.len() - 2])),
        (431, format!("GET /mark HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
        (417, "POST /mark HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\nx".into()),
        (501, "POST /mark HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".into()),
        (400, "POST /mark HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n".into()),
        (501, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into()),
        (505, "GET /mark HTTP/2.0\r\nHost: a\r\n\r\n".into()),
        (505, "GET /mark HTTP/0.9\r\n\r\n".into()),
    ];
    for (status, request) in cases {
        assert_own(&answer(&server, &request), status, &request[..request.len().min(80)]);
    }
    server.stop();
    assert!(!mark.exists());
}

#[test]
fn a_head_that_takes_too_long_gets_408_even_if_it_trickles_in() {
    let (_sandbox, server, mark) = with_mark(&["--header-timeout", "300ms"]);
    assert_own(&answer(&server, "GET /mark HT"), 408, "a head that stops");

    let mut trickle = server.connect();
    let mut reader = trickle.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        while trickle.write_all(b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let mut bytes = Vec::new();
    let _ = reader.read_to_end(&mut bytes); // data arriving after the end may cause a reset
    assert_own(&Response::parse(&bytes), 408, "a head that never ends");
    writer.join().unwrap();

    assert!(server.raw(b"").is_empty(), "who asks nothing is told nothing");
    assert_eq!(server.get("/hello").status, 200);
    eventually("the time-outs are counted", || {
        server.scoreboard().snapshot().iter().map(|row| row.timeouts).sum::<u64>() == 2
    });
    server.stop();
    assert!(!mark.exists());
}

#[test]
fn a_stalled_body_gets_408_and_a_slow_one_does_not() {
    let sandbox = Sandbox::new();
    sandbox.handler("echo", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec cat\n");
    let server = sandbox.start(&["--body-timeout", "2s", "--min-rate", "1"]);
    for request in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ] {
        assert_own(&answer(&server, request), 408, request);
    }
    let mut slow = server.connect();
    slow.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n").unwrap();
    for byte in b"slowly" {
        // Longer than the timeout in total, with each pause much shorter.
        std::thread::sleep(std::time::Duration::from_millis(500));
        slow.write_all(&[*byte]).unwrap();
    }
    let mut bytes = Vec::new();
    slow.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).text(), "slowly");
}

#[test]
fn a_body_beyond_the_limit_gets_413_by_length_and_by_chunks() {
    let (_sandbox, server, mark) = with_mark(&["--max-body", "1000"]);
    let length =
        |n: usize| format!("POST /mark HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n{}", "x".repeat(n));
    let chunks = |n: usize| {
        let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
        let chunks = chunk.repeat(n / 100);
        format!("POST /mark HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    assert_own(&answer(&server, length(1001)), 413, "by length");
    assert_own(&answer(&server, chunks(1100)), 413, "by chunks");
    assert!(!mark.exists());
    assert_eq!(answer(&server, length(1000)).status, 200);
    assert_eq!(answer(&server, chunks(1000)).status, 200);
}

#[test]
fn a_handler_that_cannot_be_executed_gets_500_and_is_logged() {
    let sandbox = Sandbox::new();
    sandbox.handler("interpreter", "#!/no/such/interpreter\n");
    sandbox.handler("text", "echo no interpreter is named\n");
    sandbox.handler("windows", "#!/bin/sh\r\necho\r\n");
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&[]);
    // Twice: the second time the route to the handler is cached.
    for _ in 0..2 {
        assert_own(&server.get("/interpreter"), 500, "missing interpreter");
        assert_own(&server.get("/text"), 500, "no interpreter");
        assert_own(&server.post("/text", b"body"), 500, "no interpreter, with a body");
        assert_own(&server.get("/windows"), 500, "an interpreter with a carriage return");
        assert_eq!(server.get("/hello").text(), "hello");
    }
    let reasons = [
        "/interpreter: its interpreter /no/such/interpreter does not exist",
        "/text: it is neither an ELF program nor a script",
        "/windows: its #! line ends with a carriage return",
    ];
    eventually("the log says why", || reasons.iter().all(|reason| server.log().contains(reason)));
    assert!(!server.log().contains("No such file"), "{}", server.log());

    // With a small stack execve(2) takes 128 KiB: enough for the variables, but not with those of this
    // request.
    let config = sandbox.write("large.toml", format!("[env]\nLARGE = \"{}\"\n", "x".repeat(60_000)));
    let server = sandbox.start_with(&["-c", config.to_str().unwrap()], |command| {
        executed_by(command, &["sh", "-c", "ulimit -s 512; exec \"$@\"", "sh"]);
    });
    assert_eq!(server.get("/hello").text(), "hello");
    let (path, field) = ("x".repeat(8000), "x".repeat(55_000));
    let request = format!("GET /hello/{path} HTTP/1.1\r\nHost: test\r\nLarge: {field}\r\n\r\n");
    assert_own(&Response::parse(&server.raw(request.as_bytes())), 500, "an environment that is too large");
    eventually("the log says why", || server.log().contains("Argument list too long"));
    eventually("the failure is counted", || {
        server.scoreboard().snapshot().iter().map(|row| row.launch_failures).sum::<u64>() == 1
    });
}

#[test]
fn beyond_max_handlers_requests_get_503_with_retry_after() {
    let sandbox = Sandbox::new();
    let go = sandbox.path("go");
    let waits = format!("#!/bin/sh\nuntil [ -e '{}' ]; do sleep 0.02; done\n", go.display());
    sandbox.handler("wait", waits + says("done").trim_start_matches("#!/bin/sh\n"));
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "2", "--max-handlers", "2"]);
    let pending = [begin(&server, "/wait"), begin(&server, "/wait")];
    let launched = || server.scoreboard().snapshot().iter().map(|row| row.launched).sum::<u64>();
    eventually("two handlers run", || launched() == 2);
    for _ in 0..8 {
        let refused = server.get("/hello");
        assert_own(&refused, 503, "one too many");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
    }
    std::fs::write(&go, "").unwrap();
    for request in pending {
        assert_eq!(request.finish().text(), "done");
    }
    eventually("there is room again", || server.get("/hello").status == 200);
    assert!(launched() >= 3);
}

#[test]
fn head_is_answered_without_a_body() {
    let (_sandbox, server, _) = with_mark(&["--max-body", "10"]);
    for (status, request) in [
        (404, "HEAD /missing HTTP/1.1\r\nHost: a\r\n\r\n"),
        (404, "HEAD /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        (
            413,
            "HEAD /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello hello\r\n0\r\n\r\n",
        ),
    ] {
        let response = answer(&server, request);
        assert_eq!((response.status, response.text().as_str()), (status, ""), "{request}");
        assert_ne!(response.header("content-length"), Some("0"), "{request}");
    }
}
