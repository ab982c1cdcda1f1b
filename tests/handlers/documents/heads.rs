//! What becomes of the head of a document response, and of one that is missing or broken.

use super::{dechunked, prints, serving, text};
use crate::harness::{Response, Sandbox, eventually, says};

#[test]
fn heads_of_all_kinds_become_responses() {
    let sandbox = Sandbox::new();
    let rows = [
        ("crlf", r"Content-Type: text/plain\r\n\r\nhello", 200, "hello"),
        ("lf", r"Content-Type: text/plain\n\nhello", 200, "hello"),
        ("status", r"Status: 404 No such page\nContent-Type: text/plain\n\nhello", 404, "hello"),
        ("code", r"Status: 418\nA: b\n\nhello", 418, "hello"),
        ("length", r"Content-Length: 5\n\nhello", 200, "hello"),
        ("surplus", r"Content-Length: 5\n\nhello, world", 200, "hello"),
        ("folded", r"A: b\n c\nContent-Type: text/plain\n\nhello", 200, "hello"),
        ("spam", r"<!--: spam\r\nContent-Type: text/html\r\n\r\nhello", 200, "hello"),
        ("moved", r"Location: http://other/\n\n", 302, ""),
        ("gone", r"Status: 301 Moved Permanently\nLocation: /other\n\n", 301, ""),
        ("nothing", r"Status: 204 No Content\n\n", 204, ""),
        ("empty", r"Content-Type: text/plain\n\n", 200, ""),
    ];
    for (name, format, ..) in rows {
        sandbox.handler(name, prints(format));
    }
    let server = serving(&sandbox, &[]);
    for (name, format, status, body) in rows {
        let response = server.get(&format!("/{name}"));
        assert_eq!((response.status, text(&response)), (status, body.to_owned()), "{format}: {response:?}");
        assert_eq!(response.header("connection"), Some("close"), "{format}");
        assert!(response.header("date").is_some(), "{format}");
    }
    assert_eq!(server.get("/folded").header("a"), Some("b c"));
    assert_eq!(server.get("/moved").header("location"), Some("http://other/"));
    assert_eq!(server.get("/nothing").header("transfer-encoding"), None);
    let board = server.scoreboard();
    let count = |class: usize| board.header().relayed[class].load(std::sync::atomic::Ordering::SeqCst);
    eventually("all are counted", || (count(1), count(2), count(3)) == (10, 3, 2));
    assert!(server.log().contains("dropping lines of a response's head"), "{}", server.log());
    for line in ["target=/status handler=/status worker=0", "outcome=404 bytes=5 duration_us="] {
        assert!(server.log().contains(line), "{}", server.log());
    }
    server.stop();
}

#[test]
fn a_missing_or_broken_head_is_an_error_with_its_reason_in_the_log() {
    let sandbox = Sandbox::new();
    let half = r"Content-Type: text/plain\n";
    for (name, script, status, reason) in [
        ("none", "#!/bin/sh\nexit 3\n".to_owned(), 500, "the handler ended without a response"),
        ("bare", prints(r"<html>hello\n"), 502, "it does not begin with a header field"),
        ("blank", prints(r"\nhello"), 502, "there is no header field before the empty line"),
        ("half", prints(half), 502, "the output ends within the head of the response"),
        ("native", says("hello"), 502, "it begins with a status line, as a native response does"),
        ("nul", prints(r"A: \0\n\n"), 502, "a line of the head has a control character"),
        ("status", prints(r"Status: fine\n\n"), 502, "its Status is not a status code"),
        ("coding", prints(r"Transfer-Encoding: chunked\n\n0\r\n\r\n"), 502, "it has a Transfer-Encoding"),
        (
            "huge",
            "#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' a\n".into(),
            502,
            "the head of the response is too long",
        ),
    ] {
        sandbox.handler(name, script);
        let server = serving(&sandbox, &[]);
        let response = server.get(&format!("/{name}"));
        assert_eq!(response.status, status, "{name}: {response:?}");
        assert_eq!(
            text(&response).lines().count(),
            1,
            "{name}: the answer is the server's own: {response:?}"
        );
        eventually("the log has the reason", || server.log().contains(reason));
        assert!(server.log().contains("ERROR keeper: peer=127.0.0.1:"), "{}", server.log());
        if name == "none" {
            let ended = format!("outcome=500 bytes={} code=3", response.body.len());
            assert!(server.log().contains(&ended) || !tells_ends(), "{}", server.log());
        }
    }
}

/// Whether the kernel reports how processes end.
fn tells_ends() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

#[test]
fn the_framing_is_the_clients() {
    let sandbox = Sandbox::new();
    sandbox.handler("page", prints(r"Content-Type: text/plain\n\nhello"));
    sandbox.handler("length", prints(r"Content-Length: 5\n\nhello"));
    sandbox.handler("short", prints(r"Content-Length: 50\n\nhello"));
    let server = serving(&sandbox, &[]);
    let ask = |request: &str| Response::parse(&server.raw(request.as_bytes()));
    let old = ask("GET /page HTTP/1.0\r\n\r\n");
    assert_eq!((old.header("transfer-encoding"), old.text().as_str()), (None, "hello"));
    let new = ask("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(new.header("transfer-encoding"), Some("chunked"));
    assert_eq!(dechunked(&new.body), (b"hello".to_vec(), true));
    for target in ["/page", "/length"] {
        let head = ask(&format!("HEAD {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!((head.status, head.text().as_str()), (200, ""), "{target}");
        assert_eq!(head.header("content-length"), (target == "/length").then_some("5"));
    }
    let short = server.get("/short");
    assert_eq!((short.header("content-length"), short.text().as_str()), (Some("50"), "hello"));
    eventually("the log says so", || server.log().contains("the output is shorter than its Content-Length"));
}

#[test]
fn the_kind_is_a_setting_and_nph_programs_are_native() {
    let sandbox = Sandbox::new();
    sandbox.handler("native", says("native"));
    sandbox.handler("nph-native", says("nph"));
    sandbox.handler("document", prints(r"Status: 202\n\ndocument"));
    sandbox.handler("slow", "#!/bin/sh\nprintf HT; sleep 0.1; printf 'TP/1.1 203 OK\\r\\n\\r\\nslow'\n");
    sandbox.handler("http", prints(r"HTTP: x\n\nno"));
    for (kind, results) in [
        ("native", [(200, "native"), (200, "nph")].as_slice()),
        ("document", &[(502, ""), (200, "nph"), (202, "document")]),
        ("auto", &[(200, "native"), (200, "nph"), (202, "document"), (203, "slow"), (200, "no")]),
    ] {
        let server = sandbox.start(&["-w", "1", "--response", kind]);
        for (name, (status, body)) in ["native", "nph-native", "document", "slow", "http"].iter().zip(results)
        {
            let response = server.get(&format!("/{name}"));
            assert_eq!(response.status, *status, "{kind}, {name}: {response:?}");
            assert!(body.is_empty() || text(&response) == *body, "{kind}, {name}: {response:?}");
        }
        assert_eq!(server.get("/missing").status, 404);
        let relays = server.scoreboard().keeper().is_some();
        assert_eq!(relays, kind != "native");
    }
    let sandbox = Sandbox::new();
    sandbox.caffeine(&["--response", "cgi"]).fails(2, "'cgi' is not one of native, document, auto");
}

#[test]
fn a_native_response_is_written_through_to_the_byte() {
    let sandbox = Sandbox::new();
    let output = r"HTTP/1.1 299 Odd\r\nX:  y \r\n\r\nbody\0\377";
    sandbox.handler("odd", prints(output));
    let native = sandbox.start(&["-w", "1"]).raw(b"GET /odd HTTP/1.1\r\nHost: x\r\n\r\n");
    let server = sandbox.start(&["-w", "1", "--response", "auto"]);
    assert_eq!(server.raw(b"GET /odd HTTP/1.1\r\nHost: x\r\n\r\n"), native);
    eventually("it is logged", || server.log().contains("outcome=299"));
}
