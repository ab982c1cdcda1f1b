//! Tests of the request parser: what is accepted, and what is refused with which status.

use super::*;

#[path = "request_properties.rs"]
mod properties;

/// What a test compares: the head without its borrows.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    path: String,
    query: String,
    host: Option<String>,
    framing: Framing,
    expect_continue: bool,
    keep_alive: bool,
    len: usize,
    headers: Vec<(String, Vec<u8>)>,
}

fn read_with(bytes: &[u8], limits: &Limits) -> Result<Option<Seen>, u16> {
    let mut slots = slots();
    let head = parse(bytes, &mut slots, limits).map_err(|refusal| refusal.status)?;
    Ok(head.map(|head| Seen {
        method: head.method.into(),
        path: head.path.into(),
        query: head.query.into(),
        host: head.host.map(str::to_owned),
        framing: head.framing,
        expect_continue: head.expect_continue,
        keep_alive: head.keep_alive,
        len: head.len,
        headers: head.headers.iter().map(|header| (header.name.into(), header.value.into())).collect(),
    }))
}

fn read(bytes: &[u8]) -> Result<Option<Seen>, u16> {
    read_with(bytes, &Limits::default())
}

#[track_caller]
fn accepted(bytes: &[u8]) -> Seen {
    match read(bytes) {
        Ok(Some(seen)) => seen,
        other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(bytes)),
    }
}

#[track_caller]
fn refused(bytes: &[u8], status: u16) {
    assert_eq!(read(bytes), Err(status), "{:?}", String::from_utf8_lossy(bytes));
}

/// A request with `fields` (each with its CRLF) after a valid Host.
fn with(fields: &[u8]) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"].concat()
}

#[test]
fn a_small_get_is_taken_apart() {
    let bytes = b"GET /a/b%20c?x=1?y HTTP/1.1\r\nHost: example.org:8080\r\nAccept:  */* \t\r\n\r\nrest";
    let seen = accepted(bytes);
    assert_eq!((&*seen.method, &*seen.path, &*seen.query), ("GET", "/a/b%20c", "x=1?y"));
    assert_eq!(seen.host.as_deref(), Some("example.org:8080"));
    assert_eq!(seen.headers[1], ("Accept".into(), b"*/*".to_vec()));
    assert_eq!((seen.framing, seen.keep_alive, seen.expect_continue), (Framing::None, true, false));
    assert_eq!(&bytes[seen.len..], b"rest");
}

#[test]
fn header_and_host_name_are_found_in_any_case() {
    let mut room = slots();
    let bytes = b"GET / HTTP/1.1\r\nhOST: [::1]:80\r\nX-a: 1\r\n\r\n";
    let head = parse(bytes, &mut room, &Limits::default()).unwrap().unwrap();
    assert_eq!((head.header("x-A"), head.header("none")), (Some(&b"1"[..]), None));
    assert_eq!((head.host, head.host_name()), (Some("[::1]:80"), Some("[::1]")));
}

#[test]
fn every_method_token_is_accepted() {
    for method in ["GET", "HEAD", "get", "PROPFIND", "M-SEARCH", "!#$%&'*+-.^_`|~09"] {
        assert_eq!(accepted(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).method, method);
    }
    for method in ["G(T", "G\"T", "G\tT", "G\0T", "", " GET", "G\u{e9}T", "G/T"] {
        refused(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 400);
    }
}

#[test]
fn malformed_request_lines_are_400() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET /",
        "GET / ",
        "GET",
        "GET /#fragment HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET /\x0b HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /\rx HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1,1",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / HTTP/01.1",
        "GET / HTTP 1.1",
        "GET / HTTPS/1.1",
        "GET / X",
        "GET x HTTP/1.1",
        "GET ?x HTTP/1.1",
        "GET * HTTP/1.1",
        "GET a:80 HTTP/1.1",
        "GET file:///etc/passwd HTTP/1.1",
        "GET https://a/ HTTP/1.1",
        "GET http:/a HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET http://u@a/ HTTP/1.1",
        "GET http://a:x/ HTTP/1.1",
        "GET http://[::1/ HTTP/1.1",
    ] {
        refused(format!("{line}\r\nHost: a\r\n\r\n").as_bytes(), 400);
    }
    refused(b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    // HTTP/0.9, and the first bytes of TLS.
    refused(b"GET /\r\n", 400);
    refused(b"\x16\x03\x01\x02\x00\x01", 400);
}

#[test]
fn other_versions_of_http_are_505() {
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/1.2", "HTTP/0.9", "HTTP/9.9"] {
        refused(format!("GET / {version}\r\nHost: a\r\n\r\n").as_bytes(), 505);
    }
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    // As soon as it is certain, not before.
    assert_eq!(read(b"GET / HTTP/2."), Ok(None));
    refused(b"GET / HTTP/2.0", 505);
    refused(b"GET / HTTQ", 400);
}

#[test]
fn one_empty_line_may_come_first() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(accepted(&[b"\r\n", &request[..]].concat()).len, request.len() + 2);
    assert_eq!((read(b""), read(b"\r"), read(b"\r\n")), (Ok(None), Ok(None), Ok(None)));
    for start in [&b"\r\n\r\n"[..], b"\n", b"\r\n\n", b"\r\n\r", b"\rG", b" ", b"\r\n "] {
        refused(&[start, request].concat(), 400);
    }
}

#[test]
fn only_crlf_ends_a_line() {
    refused(b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400);
    refused(b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", 400);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400);
    refused(b"GET / HTTP/1.1\n\n", 400);
    refused(b"GET / HTTP/1.1\rHost: a\r\r", 400);
    refused(&with(b"X: a\rb\r\n"), 400);
    refused(&with(b"X: a\r\r\n"), 400);
    refused(&with(b"X: \r \r\n"), 400);
    // A line feed in the body does not matter.
    accepted(&[&with(b"")[..], b"a\nb"].concat());
}

#[test]
fn malformed_header_fields_are_400() {
    for field in [
        "X : 1",
        "X\t: 1",
        " X: 1",
        "\tX: 1",
        "X",
        "X y: 1",
        ": 1",
        "X(: 1",
        "X\0: 1",
        "X\u{e9}: 1",
        "X\x7f: 1",
        "X[]: 1",
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "X: 1\r\n folded",
        "X: 1\r\n\tfolded",
        "X:\r\n folded",
    ] {
        refused(&with(format!("{field}\r\n").as_bytes()), 400);
    }
    refused(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400);
    refused(b"GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n", 400);
}

#[test]
fn control_bytes_are_refused_anywhere_in_a_value_and_others_kept() {
    for byte in 0..=255_u8 {
        for (before, after) in
            [("", ""), ("a", ""), ("a", "b"), ("0123456789abcdef0123456789abcdef0", "0123456789abcdef")]
        {
            let field = [b"X: ", before.as_bytes(), &[byte], after.as_bytes(), b"\r\n"].concat();
            if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
                let seen = accepted(&with(&field));
                let whole = [before.as_bytes(), &[byte], after.as_bytes()].concat();
                assert_eq!(seen.headers[1].1, whole.trim_ascii());
            } else {
                refused(&with(&field), 400);
            }
        }
    }
}

#[test]
fn http_1_1_needs_exactly_one_valid_host() {
    refused(b"GET / HTTP/1.1\r\n\r\n", 400);
    refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    refused(b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400);
    refused(b"GET http://a/ HTTP/1.1\r\n\r\n", 400);
    assert_eq!(accepted(b"GET / HTTP/1.0\r\n\r\n").host, None);
    for host in
        ["a", "a.b-c_d~", "a:80", "a:", "127.0.0.1:65535", "[::1]", "[::1]:8080", "%41b", "a!$&'()*+,;=b"]
    {
        assert_eq!(
            accepted(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).host.as_deref(),
            Some(host)
        );
    }
    for host in [
        "", ":80", "a b", "a/b", "a@b", "a:b", "a:1:2", "a:65536", "a:-1", "a:+1", "[::1", "::1", "[::g]",
        "[]", "[::1]x", "a?b", "a#b", "a\\b", "<a>", "%4", "%zz", "\u{e9}", "http://a",
    ] {
        refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 400);
    }
}

#[test]
fn the_absolute_form_names_path_and_host() {
    let of = |target: &str| {
        let seen = accepted(format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n").as_bytes());
        (seen.host.unwrap(), seen.path, seen.query)
    };
    let expected = |host: &str, path: &str, query: &str| (host.to_owned(), path.to_owned(), query.to_owned());
    assert_eq!(of("http://a:81/p/../q?x"), expected("a:81", "/p/../q", "x"));
    assert_eq!(of("HTTP://a"), expected("a", "/", ""));
    assert_eq!(of("http://a?q=/x"), expected("a", "/", "q=/x"));
    assert_eq!(of("http://[::1]:80//x"), expected("[::1]:80", "//x", ""));
}

#[test]
fn the_asterisk_is_for_options_and_connect_is_not_implemented() {
    assert_eq!(accepted(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
    refused(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501);
    refused(b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
}

#[test]
fn one_content_length_of_digits_frames_the_body() {
    for (value, length) in [("0", 0), ("5", 5), (" 5 ", 5), ("0005", 5), ("1073741824", 1 << 30)] {
        assert_eq!(
            accepted(&with(format!("Content-Length:{value}\r\n").as_bytes())).framing,
            Framing::Length(length)
        );
    }
    for value in [
        "",
        "+5",
        "-5",
        "0x5",
        "5_0",
        "5 5",
        "5,5",
        "5, 6",
        "5;",
        "5.0",
        "five",
        "\u{663}",
        "18446744073709551616",
        "36893488147419103237",
    ] {
        refused(&with(format!("Content-Length: {value}\r\n").as_bytes()), 400);
    }
    refused(&with(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400);
    refused(&with(b"Content-Length: 5\r\ncontent-length: 6\r\n"), 400);
    refused(&with(b"Content-Length: 1073741825\r\n"), 413);
    refused(&with(b"Content-Length: 18446744073709551615\r\n"), 413);
}

#[test]
fn chunked_is_the_only_transfer_coding() {
    assert_eq!(accepted(&with(b"Transfer-Encoding: chunked\r\n")).framing, Framing::Chunked);
    assert_eq!(accepted(&with(b"transfer-encoding:\tCHUNKED \r\n")).framing, Framing::Chunked);
    for coding in ["gzip, chunked", "identity,CHUNKED", "x-own; a=1, gzip ,\tchunked"] {
        refused(&with(format!("Transfer-Encoding: {coding}\r\n").as_bytes()), 501);
    }
    // Unless chunked is last and appears once, the end of the body is unknown (RFC 9112, section 6.3).
    for coding in [
        "xchunked",
        "chunkedx",
        "identity",
        "chunked, identity",
        "\"chunked\"",
        "chunked,",
        "chunked;a",
        "gzip",
        "chunked, chunked",
        "chunked, gzip, chunked",
    ] {
        refused(&with(format!("Transfer-Encoding: {coding}\r\n").as_bytes()), 400);
    }
    refused(&with(b"Transfer-Encoding: \r\n"), 400);
    refused(&with(b"Transfer-Encoding: \x0bchunked\r\n"), 400);
    refused(&with(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
    refused(&with(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400);
    refused(&with(b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n"), 400);
    refused(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

#[test]
fn only_100_continue_can_be_expected() {
    assert!(accepted(&with(b"Expect: 100-Continue\r\nContent-Length: 5\r\n")).expect_continue);
    assert!(accepted(&with(b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n")).expect_continue);
    assert!(!accepted(&with(b"Expect: 100-continue\r\nContent-Length: 0\r\n")).expect_continue);
    assert!(!accepted(&with(b"Expect: 100-continue\r\n")).expect_continue);
    assert!(
        !accepted(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").expect_continue
    );
    refused(&with(b"Expect: 200-ok\r\n"), 417);
    refused(&with(b"Expect: 100-continue, x\r\n"), 417);
}

#[test]
fn keep_alive_follows_the_version_and_connection() {
    for (minor, connection, keep_alive) in [
        (1, "x", true),
        (1, "close", false),
        (1, "x, CLOSE ,y", false),
        (1, "keep-alive, close", false),
        (1, "closed", true),
        (0, "x", false),
        (0, "Keep-Alive", true),
        (0, "x,keep-alive", true),
        (0, "keep-alive, close", false),
        (0, "", false),
    ] {
        let text = format!("GET / HTTP/1.{minor}\r\nHost: a\r\nConnection: {connection}\r\n\r\n");
        assert_eq!(accepted(text.as_bytes()).keep_alive, keep_alive, "{text}");
    }
    assert!(!accepted(&with(b"Connection: x\r\nConnection: close\r\n")).keep_alive);
}

const SMALL: Limits = Limits { request_line: 40, head: 100, body: 10 };

#[test]
fn a_request_line_beyond_its_limit_is_414_with_and_without_its_end() {
    let line = |len: usize| format!("GET /{} HTTP/1.1", "a".repeat(len - 14));
    let request = |len| format!("{}\r\nHost: a\r\n\r\n", line(len));
    assert!(read_with(request(40).as_bytes(), &SMALL).unwrap().is_some());
    assert_eq!(read_with(request(41).as_bytes(), &SMALL), Err(414));
    assert_eq!(read_with(&line(200).as_bytes()[..40], &SMALL), Ok(None));
    assert_eq!(read_with(&line(200).as_bytes()[..41], &SMALL), Err(414));
    assert_eq!(read_with("M".repeat(41).as_bytes(), &SMALL), Err(414));
    assert_eq!(read_with(format!("{}\r\nHo", line(41)).as_bytes(), &SMALL), Err(414));
    assert_eq!(
        read(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1 << 20)).as_bytes()),
        Err(414)
    );
}

#[test]
fn a_head_beyond_its_limit_is_431_with_and_without_its_end() {
    let request = |len: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(len - 32));
    assert_eq!(read_with(request(100).as_bytes(), &SMALL).unwrap().unwrap().len, 100);
    assert_eq!(read_with(request(101).as_bytes(), &SMALL), Err(431));
    assert_eq!(read_with(&request(300).as_bytes()[..99], &SMALL), Ok(None));
    assert_eq!(read_with(&request(300).as_bytes()[..100], &SMALL), Err(431));
    // What follows the head does not count.
    assert!(read_with(&[request(100).as_bytes(), &[b'x'; 500]].concat(), &SMALL).unwrap().is_some());
}

#[test]
fn a_hundred_header_fields_are_accepted_and_one_more_is_431() {
    let request = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(count - 1));
    assert_eq!(accepted(request(100).as_bytes()).headers.len(), 100);
    refused(request(101).as_bytes(), 431);
    refused(request(10_000).as_bytes(), 431);
}
