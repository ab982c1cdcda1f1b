//! From the bytes of a request to its handler: targets, bodies, and data after the request.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use nix::sys::signal::Signal;

use crate::harness::traffic::{counters, signal};
use crate::harness::{Response, Sandbox, says};
use crate::http::statuses::{answer, assert_own, leaves, with_mark};

#[test]
fn requests_are_refused_before_their_body_is_sent() {
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
fn expect_100_continue_is_answered() {
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
    // A client that has begun to send the body does not wait, and HTTP/1.0 has no 100 (Continue).
    for head in ["HTTP/1.1\r\nHost: a", "HTTP/1.0"] {
        let request = format!("POST /echo {head}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
        let response = answer(&server, request);
        assert_eq!((response.status, response.text().as_str()), (200, "body"));
    }
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
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
    // An error in a later part is noticed there.
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
    // Two directories up from the base; from below it, and with encoded slashes.
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
    // Also when the second arrives later on the open connection.
    let mut stream = server.connect();
    write!(stream, "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    let _ = stream.write_all(second.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
    server.stop();
    assert!(!mark.exists());
}

#[test]
fn an_error_response_survives_an_unread_body() {
    let (_sandbox, server, _) = with_mark(&["--max-body", "1000"]);
    let body = vec![b'x'; 1 << 20];
    for (status, target) in [(413, "/hello"), (404, "/missing")] {
        let length = if status == 404 { 900 } else { body.len() };
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        // Everything is sent before the first byte is read: both must succeed.
        assert_own(&answer(&server, [head.as_bytes(), &body].concat()), status, target);
    }
}

#[test]
fn a_client_may_half_close_after_its_request() {
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
fn a_complete_body_is_recognised_after_any_number_of_reads() {
    let sandbox = Sandbox::new();
    sandbox.handler("count", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec wc -c\n");
    let server = sandbox.start(&["-w", "1", "--body-timeout", "2s"]);
    let worker = counters(&server).remove(0);
    // The whole request is queued when the worker resumes: it reads 16 KiB at a time, 16 times in a row.
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
