//! Host, and the host in a target (RFC 9112, section 3.2; RFC 9110, section 7.2; RFC 3986, section 3.2).

use super::Case;
use super::Expected::{Echo, Status};

/// Valid hosts, with the SERVER_NAME the handler gets.
const TAKEN: &[(&str, &str, &str)] = &[
    ("3986 3.2.2", "a", "a"),
    ("3986 3.2.2", "a.b-c_d~", "a.b-c_d~"),
    ("3986 3.2.2", "A.Example", "A.Example"),
    ("3986 3.2.2", "a.", "a."),
    ("3986 3.2.2", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("3986 3.2.2", "%41b", "%41b"),
    ("3986 3.2.2", "a!$&'()*+,;=b", "a!$&'()*+,;=b"),
    ("3986 3.2.2", "127.0.0.1", "127.0.0.1"),
    ("3986 3.2.2", "999.1.1.1", "999.1.1.1"),
    ("3986 3.2.2", "[::1]", "[::1]"),
    ("3986 3.2.2", "[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
    ("3986 3.2.3", "a:80", "a"),
    ("3986 3.2.3", "a:", "a"),
    ("3986 3.2.3", "a:0", "a"),
    ("3986 3.2.3", "a:00080", "a"),
    ("3986 3.2.3", "127.0.0.1:65535", "127.0.0.1"),
    ("3986 3.2.3", "[::1]:8080", "[::1]"),
];

/// Invalid hosts.
const REFUSED: &[(&str, &str)] = &[
    ("9110 4.2.1", ""),
    ("9110 4.2.1", ":80"),
    ("9110 4.2.4", "user@a"),
    ("9110 4.2.4", "user:password@a"),
    ("3986 3.2.2", "a b"),
    ("3986 3.2.2", "a/b"),
    ("3986 3.2.2", "a?b"),
    ("3986 3.2.2", "a#b"),
    ("3986 3.2.2", "a\\b"),
    ("3986 3.2.2", "<a>"),
    ("3986 3.2.2", "a\"b"),
    ("3986 3.2.2", "a^b"),
    ("3986 3.2.2", "a`b"),
    ("3986 3.2.2", "a{b}"),
    ("3986 3.2.2", "a|b"),
    ("3986 3.2.2", "a\tb"),
    ("3986 3.2.2", "\u{e9}"),
    ("3986 2.1", "%4"),
    ("3986 2.1", "%"),
    ("3986 2.1", "%zz"),
    ("3986 3.2.2", "::1"),
    ("3986 3.2.2", "[::1"),
    ("3986 3.2.2", "::1]"),
    ("3986 3.2.2", "[]"),
    ("3986 3.2.2", "[::g]"),
    ("3986 3.2.2", "[1:2:3]"),
    ("3986 3.2.2", "[127.0.0.1]"),
    ("3986 3.2.2", "[::1]x"),
    ("3986 3.2.2", "[::1%25lo]"),
    ("3986 3.2.2", "[v1.x]"),
    ("3986 3.2.3", "a:b"),
    ("3986 3.2.3", "a:1:2"),
    ("3986 3.2.3", "a:-1"),
    ("3986 3.2.3", "a:+1"),
    ("3986 3.2.3", "a: 1"),
    ("3986 3.2.3", "a:65536"),
    ("3986 3.2.3", "a:99999999999999999999"),
    ("3986 3.2.3", "[::1]:x"),
    ("9110 7.2", "http://a"),
    ("9110 7.2", "a, b"),
];

/// Other ways to have no host or two.
const HEADS: &[(&str, &str)] = &[
    ("3.2", "GET /mark HTTP/1.1\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.1\r\nX: 1\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\r\nhOST: a\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.0\r\nHost: a/b\r\n\r\n"),
    ("3.2", "GET http://a/mark HTTP/1.1\r\n\r\n"),
    ("3.2", "GET http://a/mark HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    ("3.2", "GET http://a/mark HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("3.2", "GET /mark HTTP/1.1\r\nX-Host: a\r\n\r\n"),
    ("5.1", "GET /mark HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("5.2", "GET /mark HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for &(rfc, host, name) in TAKEN {
        let request = format!("GET /echo HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(Case::new(rfc, format!("Host: {host}"), request, Echo(format!("GET|{name}|||||"))));
        // The host in the target takes precedence over the field.
        let request = format!("GET http://{host}/echo HTTP/1.1\r\nHost: other\r\n\r\n");
        let expected = Echo(format!("GET|{name}|||||"));
        cases.push(Case::new("3.2.2", format!("http://{host}/"), request, expected));
    }
    for &(rfc, host) in REFUSED {
        let request = format!("GET /mark HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(Case::new(rfc, format!("Host: {host:?}"), request, Status(400)));
    }
    cases.extend(HEADS.iter().map(|&(rfc, head)| Case::new(rfc, format!("{head:?}"), head, Status(400))));
    cases
}
