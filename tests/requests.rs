//! Requests on the wire: every status of the server's own, paths that lead nowhere, one request per connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::harness::{Response, Sandbox, Server, eventually, says};
use crate::traffic::{begin, counters, signal};

/// A handler that leaves a file behind: the proof that it ran.
fn leaves(mark: &std::path::Path) -> String {
    format!("#!/bin/sh\n: >'{}'\n{}", mark.display(), says("ran").trim_start_matches("#!/bin/sh\n"))
}

/// A server with the handlers `hello` and `mark`, and the file that `mark` leaves.
fn with_mark(arguments: &[&str]) -> (Sandbox, Server, PathBuf) {
    let sandbox = Sandbox::new();
    let mark = sandbox.path("mark-ran");
    sandbox.handler("hello", says("hello"));
    sandbox.handler("mark", leaves(&mark));
    let server = sandbox.start(arguments);
    (sandbox, server, mark)
}

#[track_caller]
fn answer(server: &Server, request: impl AsRef<[u8]>) -> Response {
    Response::parse(&server.raw(request.as_ref()))
}

/// An answer of the server's own: complete, with a length, and the last one of its connection.
#[track_caller]
fn assert_own(response: &Response, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {response:?}");
    assert_eq!(response.header("connection"), Some("close"), "{what}: {response:?}");
    assert_eq!(response.header("content-length"), Some(&*response.body.len().to_string()), "{what}");
    assert!(response.text().starts_with(&format!("{status} ")), "{what}: {response:?}");
}

#[test]
fn malformed_requests_are_400_and_nothing_of_them_is_executed() {
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
fn what_is_no_handler_is_404_and_what_may_not_run_is_403() {
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
fn what_the_server_cannot_do_for_a_request_has_a_status_of_its_own() {
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
        (501, "POST /mark HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n".into()),
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
fn a_head_that_takes_too_long_is_408_however_it_trickles_in() {
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
    let _ = reader.read_to_end(&mut bytes); // what trickled in after the end may be answered with a reset
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
fn a_body_without_progress_is_408_and_a_slow_one_is_not() {
    let sandbox = Sandbox::new();
    sandbox.handler("echo", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec cat\n");
    let server = sandbox.start(&["--body-timeout", "2s"]);
    for request in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ] {
        assert_own(&answer(&server, request), 408, request);
    }
    let mut slow = server.connect();
    slow.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n").unwrap();
    for byte in b"slowly" {
        // Longer than the time-out altogether, and each pause much shorter.
        std::thread::sleep(std::time::Duration::from_millis(500));
        slow.write_all(&[*byte]).unwrap();
    }
    let mut bytes = Vec::new();
    slow.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).text(), "slowly");
}

#[test]
fn a_body_beyond_the_limit_is_413_by_length_and_by_chunks() {
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
fn a_handler_that_cannot_be_executed_is_500_and_the_log_says_why() {
    let sandbox = Sandbox::new();
    sandbox.handler("interpreter", "#!/no/such/interpreter\n");
    sandbox.handler("text", "echo no interpreter is named\n");
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&[]);
    // Twice: the second time the way to the handler is known already.
    for _ in 0..2 {
        assert_own(&server.get("/interpreter"), 500, "missing interpreter");
        assert_own(&server.get("/text"), 500, "no interpreter");
        assert_own(&server.post("/text", b"body"), 500, "no interpreter, with a body");
        assert_eq!(server.get("/hello").text(), "hello");
    }
    eventually("the log says why", || {
        let log = server.log();
        log.contains("No such file or directory") && log.contains("Exec format error")
    });

    let config = sandbox.write("large.toml", format!("[env]\nLARGE = \"{}\"\n", "x".repeat(200_000)));
    let server = sandbox.start(&["-c", config.to_str().unwrap()]);
    assert_own(&server.get("/hello"), 500, "an environment that is too large");
    eventually("the log says why", || server.log().contains("Argument list too long"));
    eventually("the failure is counted", || {
        server.scoreboard().snapshot().iter().map(|row| row.launch_failures).sum::<u64>() == 1
    });
}

#[test]
fn beyond_max_handlers_it_is_503_with_retry_after_until_one_has_ended() {
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

#[test]
fn what_will_be_refused_is_refused_before_its_body_is_sent() {
    let sandbox = Sandbox::new();
    sandbox.write(".config/caffeine/secret", "");
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["--max-body", "1MiB"]);
    for expect in ["", "Expect: 100-continue\r\n"] {
        for (status, target, length) in
            [(404, "/missing", 1000), (403, "/secret", 1000), (413, "/hello", 1 << 21)]
        {
            let request =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: {length}\r\n\r\n");
            assert_own(&answer(&server, &request), status, &request);
        }
        let request =
            format!("POST /missing HTTP/1.1\r\nHost: a\r\n{expect}Transfer-Encoding: chunked\r\n\r\n");
        assert_own(&answer(&server, &request), 404, &request);
    }
}

#[test]
fn a_client_that_expects_it_is_told_to_continue() {
    let sandbox = Sandbox::new();
    sandbox.handler("echo", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec cat\n");
    let server = sandbox.start(&[]);
    for (framing, body) in
        [("Content-Length: 4", "body"), ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n")]
    {
        let mut stream = server.connect();
        write!(stream, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n\r\n")
            .unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(body.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Response::parse(&bytes).text(), "body");
    }
    // Who has begun to send does not wait, and in HTTP/1.0 there is no such thing.
    for head in ["HTTP/1.1\r\nHost: a", "HTTP/1.0"] {
        let request = format!("POST /echo {head}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
        let response = answer(&server, request);
        assert_eq!((response.status, response.text().as_str()), (200, "body"));
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let sandbox = Sandbox::new();
    sandbox.handler("echo", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n%s ' \"$HTTP_LONG\"\nexec cat\n");
    let server = sandbox.start(&["-w", "1"]);
    let long = "x".repeat(3000);
    let request =
        format!("\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nLong: {long}\r\nContent-Length: 4\r\n\r\nbody");
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in request.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).text(), format!("{long} body"));
    // What is wrong in a later part is noticed there.
    let mut stream = server.connect();
    for piece in ["GET /echo HTTP/1.1\r\nHo", "st : a\r\n", "\r\n"] {
        let _ = stream.write_all(piece.as_bytes());
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_own(&Response::parse(&bytes), 400, "a space before the colon");
}

#[test]
fn targets_may_be_absolute_and_methods_any_token() {
    let sandbox = Sandbox::new();
    let script =
        "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n%s %s %s' \"$REQUEST_METHOD\" \"$SERVER_NAME\" \"$PATH_INFO\"";
    sandbox.handler("who", format!("#!/bin/sh\n{script}\n"));
    let server = sandbox.start(&[]);
    let text = |request: &str| answer(&server, request).text();
    assert_eq!(text("GET http://there:80/who/am/i HTTP/1.1\r\nHost: here\r\n\r\n"), "GET there /am/i");
    assert_eq!(text("GET /who HTTP/1.0\r\n\r\n"), "GET 127.0.0.1 ");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH", "get", "!#$%&'*+-.^_`|~09"] {
        assert_eq!(text(&format!("{method} /who HTTP/1.1\r\nHost: here\r\n\r\n")), format!("{method} here "));
    }
}

#[test]
fn no_path_leads_out_of_the_base_directory() {
    let sandbox = Sandbox::new();
    let mark = sandbox.path("outside-ran");
    let outside = sandbox.program("outside", leaves(&mark));
    sandbox.handler("hello", says("hello"));
    sandbox.handler("sub/hello", says("sub"));
    let base = sandbox.handlers();
    std::fs::create_dir_all(base.join("a/b")).unwrap();
    let base = base.to_str().unwrap().to_owned();
    let server = sandbox.start(&["--path", &base]);
    let ups = [
        "..",
        "%2e%2e",
        ".%2e",
        "%2e.",
        "%%32%65%%32%65",
        "%252e%252e",
        "..%c0%af",
        "%c0%ae%c0%ae",
        "..%5c",
        "..\\",
        "..;",
        "%u002e%u002e",
        "..%00",
        "..%2f",
        "....",
        "..%e0%80%af",
    ];
    // From the base, two directories up; from within, and with encoded slashes.
    for up in ups {
        for path in [
            format!("/{up}/{up}/outside"),
            format!("/sub/{up}/{up}/{up}/outside"),
            format!("/a/b/{up}/{up}/{up}/{up}/outside"),
            format!("/{up}%2f{up}%2foutside"),
            format!("//{up}//{up}//outside"),
        ] {
            let status = server.get(&path).status;
            assert!(matches!(status, 400 | 404), "{path}: {status}");
        }
    }
    let absolute = outside.to_str().unwrap();
    for path in [
        format!("/{absolute}"),
        format!("//{absolute}"),
        absolute.replace('/', "%2f"),
        absolute.replacen('/', "/%2f", 1),
        format!("{base}/../../outside"),
    ] {
        let status = server.get(&path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    for path in ["/sub%2fhello", "/hello%00", "/hello%00.txt", "/./hello", "/sub/./hello", "//hello"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.get("/sub/hello").text(), "sub");
    assert_eq!(server.get("/hello/../../outside").text(), "hello", "behind the handler it is only text");
    server.stop();
    assert!(!mark.exists());
}

#[test]
fn only_the_first_request_of_a_connection_is_executed() {
    let (_sandbox, server, mark) = with_mark(&[]);
    let second = "GET /mark HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in [
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    ] {
        assert_eq!(answer(&server, format!("{first}{second}")).text(), "hello", "{first}");
    }
    for refused in ["GET /missing HTTP/1.1\r\nHost: a\r\n\r\n", "GET /mark\r\n\r\n"] {
        let status = answer(&server, format!("{refused}{second}")).status;
        assert!(matches!(status, 400 | 404), "{refused}: {status}");
    }
    // Also when the second comes later, on what is still a connection.
    let mut stream = server.connect();
    write!(stream, "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    let _ = stream.write_all(second.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
    server.stop();
    assert!(!mark.exists());
}

#[test]
fn an_answer_of_our_own_survives_a_body_that_nobody_reads() {
    let (_sandbox, server, _) = with_mark(&["--max-body", "1000"]);
    let body = vec![b'x'; 1 << 20];
    for (status, target) in [(413, "/hello"), (404, "/missing")] {
        let length = if status == 404 { 900 } else { body.len() };
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        // Everything is sent before the first byte is read: neither side of that may fail.
        assert_own(&answer(&server, [head.as_bytes(), &body].concat()), status, target);
    }
}

#[test]
fn a_client_that_has_said_all_may_close_its_side() {
    let (_sandbox, server, _) = with_mark(&[]);
    for request in [
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ] {
        let mut stream: TcpStream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Response::parse(&bytes).text(), "hello");
    }
}

#[test]
fn a_body_is_noticed_whole_however_many_reads_it_takes() {
    let sandbox = Sandbox::new();
    sandbox.handler("count", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec wc -c\n");
    let server = sandbox.start(&["-w", "1", "--body-timeout", "2s"]);
    let worker = counters(&server).remove(0);
    // Everything is there when the worker gets to it: 16 KiB are read at a time, and 16 times in a row.
    for reads in [15, 16, 17, 18, 32, 33] {
        signal(&worker, Signal::SIGSTOP);
        let head = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: ";
        let digits = 6;
        let length = reads * 16 * 1024 - head.len() - digits - 4;
        let request = format!("{head}{length:0digits$}\r\n\r\n{}", "x".repeat(length));
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        signal(&worker, Signal::SIGCONT);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(Response::parse(&bytes).text().trim(), length.to_string(), "{reads} reads");
    }
}
