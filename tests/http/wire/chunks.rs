//! Chunked bodies, byte by byte (RFC 9112, section 7.1).

use super::Expected::{Nothing, Status};
use super::{Case, MAX_BODY, SECOND, echo};

fn post(target: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

/// Chunked bodies and their decoded content.
const TAKEN: &[(&str, &str, &str)] = &[
    ("7.1", "0\r\n\r\n", ""),
    ("7.1", "00000\r\n\r\n", ""),
    ("7.1", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"),
    ("7.1", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n", "hello"),
    ("7.1", "b\r\nhello hello\r\n0\r\n\r\n", "hello hello"),
    ("7.1", "B\r\nhello hello\r\n0\r\n\r\n", "hello hello"),
    ("7.1", "005\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1", "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ("7.1", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
    ("7.1.1", "5;a\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1.1", "5;a=b\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1.1", "5;a=\"b c;d\"\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1.1", "5;a;b=c;d\r\nhello\r\n0;e\r\n\r\n", "hello"),
    ("7.1.1", "5 ; a = b\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1.1", "5\t;\ta\r\nhello\r\n0\r\n\r\n", "hello"),
    ("7.1.2", "5\r\nhello\r\n0\r\nX: y\r\n\r\n", "hello"),
    ("7.1.2", "5\r\nhello\r\n0\r\nX:\r\nY: z\r\n\r\n", "hello"),
    ("6.5.1", "5\r\nhello\r\n0\r\nContent-Length: 0\r\n\r\n", "hello"),
    ("6.5.1", "5\r\nhello\r\n0\r\nHost: b\r\nTransfer-Encoding: gzip\r\n\r\n", "hello"),
];

/// Invalid bodies.
const REFUSED: &[(&str, &str)] = &[
    ("7.1", "zz\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "-5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "+5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5h\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "0_5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5_\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5.\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5,\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "\"5\"\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "\u{665}\r\nhello\r\n0\r\n\r\n"),
    ("7.1", " 5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "\t5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5 \r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5\t\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5 5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "\r\n"),
    ("7.1", "\n"),
    ("7.1", "hello"),
    ("7.1", "5\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "FFFFFFFFFFFFFFFF5\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5\nhello\n0\n\n"),
    ("7.1", "5\rhello\r\n0\r\n\r\n"),
    ("7.1", "5\r\rhello\r\n0\r\n\r\n"),
    ("7.1", "5\rX\nhello\r\n0\r\n\r\n"),
    ("7.1", "5\n\r\nhello\r\n0\r\n\r\n"),
    ("7.1", "5\r\nhello\n0\r\n\r\n"),
    ("7.1", "5\r\nhello\r0\r\n\r\n"),
    ("7.1", "5\r\nhelloX\r\n0\r\n\r\n"),
    ("7.1", "5\r\nhello0\r\n\r\n"),
    ("7.1", "5\r\nhello \r\n0\r\n\r\n"),
    ("7.1", "5\r\nhell\r\n0\r\n\r\n"),
    ("7.1", "5\r\nhello\r\n\r\n0\r\n\r\n"),
    ("7.1", "5\r\nhello\r\n\r\n"),
    ("7.1", "0\r\n\n"),
    ("7.1", "0\n\r\n"),
    ("7.1", "0\r\n\rX"),
    ("7.1.1", "5;\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;;a\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5; \r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;=b\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;\n\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;a\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;a\0\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "5;a\u{7f}\r\nhello\r\n0\r\n\r\n"),
    ("7.1.1", "0;\r\n\r\n"),
    ("7.1.2", "0\r\nX : y\r\n\r\n"),
    ("7.1.2", "0\r\n X: y\r\n\r\n"),
    ("7.1.2", "0\r\nX: y\r\n z\r\n\r\n"),
    ("7.1.2", "0\r\nX\r\n\r\n"),
    ("7.1.2", "0\r\n: y\r\n\r\n"),
    ("7.1.2", "0\r\nX: y\n\r\n"),
    ("7.1.2", "0\r\nX: \0\r\n\r\n"),
    ("7.1.2", "0\r\nX: y\rZ: 1\r\n\r\n"),
    ("7.1.2", "0\r\nX(: y\r\n\r\n"),
    ("7.1.2", "0\r\n/mark HTTP/1.1\r\n\r\n"),
];

/// Truncated bodies: the client hangs up.
const CUT: &[&str] =
    &["", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nX: y"];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = TAKEN
        .iter()
        .map(|&(rfc, body, decoded)| {
            let request = post("/echo", body) + SECOND;
            Case::new(rfc, format!("{body:?}"), request, echo("POST", &decoded.len().to_string(), decoded))
        })
        .collect();
    cases.extend(
        REFUSED.iter().map(|&(rfc, body)| {
            Case::new(rfc, format!("{body:?}"), post("/mark", body) + SECOND, Status(400))
        }),
    );
    cases.extend(
        CUT.iter().map(|&body| {
            Case::new("8", format!("cut at {body:?}"), post("/mark", body), Nothing).hanging_up()
        }),
    );
    cases.extend(sizes());
    cases
}

fn sizes() -> Vec<Case> {
    let full = "x".repeat(MAX_BODY);
    let one = |n: usize| format!("{n:x}\r\n{}\r\n", "x".repeat(n));
    let extensions = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000));
    let many_extensions = format!("1;a={}\r\nh\r\n", "x".repeat(700)).repeat(30);
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(5_000));
    let refused =
        |rfc, what: &str, body: String, status| Case::new(rfc, what, post("/mark", &body), Status(status));
    let taken = |what: &str, body: String| {
        let request = post("/echo", &body);
        Case::new("9110 15.5.14", what, request, echo("POST", &MAX_BODY.to_string(), &full))
    };
    vec![
        taken("all that is allowed, in one chunk", format!("{}0\r\n\r\n", one(MAX_BODY))),
        taken("all that is allowed, byte by byte", format!("{}0\r\n\r\n", one(1).repeat(MAX_BODY))),
        refused("9110 15.5.14", "one byte more, in one chunk", one(MAX_BODY + 1), 413),
        refused(
            "9110 15.5.14",
            "one byte more, in the last chunk",
            format!("{}{}", one(MAX_BODY), one(1)),
            413,
        ),
        refused("7.1", "a size of 2^64-1", "ffffffffffffffff\r\n".into(), 413),
        refused("7.1", "sizes that wrap around", "5\r\nhello\r\nfffffffffffffffb\r\nx".into(), 413),
        refused("7.1.1", "20 kB of extension", extensions, 400),
        refused("7.1.1", "20 kB of extensions", many_extensions, 400),
        refused("7.1.2", "30 kB of trailer fields", trailers, 431),
    ]
}
