//! Where a body ends: Content-Length and Transfer-Encoding (RFC 9112, section 6; RFC 9110, section 8.6), and
//! Expect.

use super::Expected::Status;
use super::{Case, SECOND, echo};

/// A POST with these fields after Host, followed by `SECOND`.
fn post(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}{SECOND}")
}

/// Fields that give the body `hello` a length, or none, and the CONTENT_LENGTH the handler gets.
const TAKEN: &[(&str, &str, &str, &str)] = &[
    ("6.3", "", "", ""),
    ("6.3", "Y: 1\r\nContent-Length: 0\r\n", "0", ""),
    ("6.2", "Y: 1\r\nContent-Length: 5\r\n", "5", "hello"),
    ("6.2", "content-length: 5\r\n", "5", "hello"),
    ("6.2", "CONTENT-LENGTH: 5\r\n", "5", "hello"),
    ("5.1", "Content-Length:5\r\n", "5", "hello"),
    ("5.1", "Content-Length: \t 5 \t \r\n", "5", "hello"),
    ("9110 8.6", "Content-Length: 05\r\n", "5", "hello"),
    ("9110 8.6", "Content-Length: 000000000000000000000000000000005\r\n", "5", "hello"),
    ("9110 8.6", "Content-Length: 00\r\n", "0", ""),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: 100-continue\r\n", "5", "hello"),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: 100-Continue\r\n", "5", "hello"),
    ("9110 10.1.1", "Expect: 100-continue\r\n", "", ""),
    ("9110 10.1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", "0", ""),
    ("6.2", "Content-Length-X: 9\r\nContent-Length: 5\r\nX-Content-Length: 9\r\n", "5", "hello"),
];

/// Fields with an ambiguous or invalid length.
const REFUSED: &[(&str, &str, u16)] = &[
    ("6.3", "Content-Length: 5\r\nContent-Length: 5\r\n", 400),
    ("6.3", "Content-Length: 5\r\nContent-Length: 6\r\n", 400),
    ("6.3", "Content-Length: 0\r\nContent-Length: 5\r\n", 400),
    ("6.3", "Content-Length: 5\r\ncontent-length: 5\r\n", 400),
    ("6.3", "Content-Length: 5\r\nX: 1\r\nContent-Length: \r\n", 400),
    ("6.3", "Content-Length: 5, 5\r\n", 400),
    ("6.3", "Content-Length: 5,5\r\n", 400),
    ("6.3", "Content-Length: 5, 6\r\n", 400),
    ("6.3", "Content-Length: 5,\r\n", 400),
    ("6.3", "Content-Length: ,5\r\n", 400),
    ("9110 8.6", "Content-Length: \r\n", 400),
    ("9110 8.6", "Content-Length:\r\n", 400),
    ("9110 8.6", "Content-Length: +5\r\n", 400),
    ("9110 8.6", "Content-Length: -5\r\n", 400),
    ("9110 8.6", "Content-Length: -0\r\n", 400),
    ("9110 8.6", "Content-Length: 0x5\r\n", 400),
    ("9110 8.6", "Content-Length: 5h\r\n", 400),
    ("9110 8.6", "Content-Length: 5.0\r\n", 400),
    ("9110 8.6", "Content-Length: 5e0\r\n", 400),
    ("9110 8.6", "Content-Length: 5_0\r\n", 400),
    ("9110 8.6", "Content-Length: 5 5\r\n", 400),
    ("9110 8.6", "Content-Length: 5;x\r\n", 400),
    ("9110 8.6", "Content-Length: \"5\"\r\n", 400),
    ("9110 8.6", "Content-Length: five\r\n", 400),
    ("9110 8.6", "Content-Length: \u{665}\r\n", 400),
    ("9110 8.6", "Content-Length: \u{ff15}\r\n", 400),
    ("9110 8.6", "Content-Length: 18446744073709551616\r\n", 400),
    ("9110 8.6", "Content-Length: 18446744073709551621\r\n", 400),
    ("9110 8.6", "Content-Length: 340282366920938463463374607431768211461\r\n", 400),
    ("9110 15.5.14", "Content-Length: 1001\r\n", 413),
    ("9110 15.5.14", "Content-Length: 4294967301\r\n", 413),
    ("9110 15.5.14", "Content-Length: 18446744073709551615\r\n", 413),
    ("5.1", "Content-Length : 5\r\n", 400),
    ("5.1", "Content-Length\t: 5\r\n", 400),
    ("5.2", "Content-Length:\r\n 5\r\n", 400),
    ("5.2", "Content-Length: 5\r\n 5\r\n", 400),
    ("5.2", "Content-Length: 1\r\n\t5\r\n", 400),
    ("2.2", "Content-Length: 5\rX: 1\r\n", 400),
    ("2.2", "Content-Length: 5\nX: 1\r\n", 400),
    ("9110 5.5", "Content-Length: 5\0\r\n", 400),
    ("9110 5.5", "Content-Length: \u{b}5\r\n", 400),
    ("9110 5.5", "Content-Length: 5\u{c}\r\n", 400),
    ("6.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
    ("6.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
    ("6.1", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
    ("6.1", "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n", 400),
    ("6.1", "Transfer-Encoding: chunked, chunked\r\n", 400),
    ("6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
    ("6.1", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 400),
    ("6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
    ("6.1", "Transfer-Encoding: gzip, chunked\r\n", 501),
    ("6.1", "Transfer-Encoding: x-own, gzip, Chunked\r\n", 501),
    ("6.1", "Transfer-Encoding: identity, chunked\r\n", 501),
    ("6.3", "Transfer-Encoding: \r\n", 400),
    ("6.3", "Transfer-Encoding:\r\n", 400),
    ("6.3", "Transfer-Encoding: ,\r\n", 400),
    ("6.3", "Transfer-Encoding: gzip\r\n", 400),
    ("6.3", "Transfer-Encoding: identity\r\n", 400),
    ("6.3", "Transfer-Encoding: chunked, identity\r\n", 400),
    ("6.3", "Transfer-Encoding: chunked, gzip\r\n", 400),
    ("6.3", "Transfer-Encoding: xchunked\r\n", 400),
    ("6.3", "Transfer-Encoding: chunkedx\r\n", 400),
    ("6.3", "Transfer-Encoding: chunk\r\n", 400),
    ("6.3", "Transfer-Encoding: \"chunked\"\r\n", 400),
    ("6.3", "Transfer-Encoding: chunked gzip\r\n", 400),
    ("6.3", "Transfer-Encoding: chu nked\r\n", 400),
    ("7", "Transfer-Encoding: chunked;q=1\r\n", 400),
    ("7", "Transfer-Encoding: chunked ; a=b\r\n", 400),
    ("5.1", "Transfer-Encoding : chunked\r\n", 400),
    ("5.2", "Transfer-Encoding:\r\n chunked\r\n", 400),
    ("5.2", "Transfer-Encoding: gzip,\r\n chunked\r\n", 400),
    ("9110 5.5", "Transfer-Encoding: \u{b}chunked\r\n", 400),
    ("9110 5.5", "Transfer-Encoding: chunked\0\r\n", 400),
    ("9110 5.5", "Transfer-Encoding: \0chunked\r\n", 400),
    ("2.2", "Transfer-Encoding: chunked\n\r\n", 400),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: miracles\r\n", 417),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: 100-continue, miracles\r\n", 417),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: 200-ok\r\n", 417),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: \r\n", 417),
    ("9110 10.1.1", "Content-Length: 5\r\nExpect: 100-continue;x=y\r\n", 417),
];

/// Accepted forms of Transfer-Encoding.
const CHUNKED: &[(&str, &str)] = &[
    ("6.1", "Transfer-Encoding: chunked\r\n"),
    ("7", "Transfer-Encoding: Chunked\r\n"),
    ("7", "TRANSFER-ENCODING: CHUNKED\r\n"),
    ("5.1", "Transfer-Encoding:chunked\r\n"),
    ("5.1", "Transfer-Encoding: \t chunked\t \r\n"),
    ("9110 10.1.4", "TE: trailers\r\nTransfer-Encoding: chunked\r\n"),
    ("9110 6.6.2", "Trailer: X\r\nTransfer-Encoding: chunked\r\n"),
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = TAKEN
        .iter()
        .map(|&(rfc, fields, length, body)| {
            Case::new(rfc, format!("{fields:?}"), post("/echo", fields, body), echo("POST", length, body))
        })
        .collect();
    cases.extend(REFUSED.iter().map(|&(rfc, fields, status)| {
        Case::new(rfc, format!("{fields:?}"), post("/mark", fields, "hello"), Status(status))
    }));
    cases.extend(CHUNKED.iter().map(|&(rfc, fields)| {
        let request = post("/echo", fields, "4\r\nhell\r\n1\r\no\r\n0\r\n\r\n");
        Case::new(rfc, format!("{fields:?}"), request, echo("POST", "5", "hello"))
    }));
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "PUT", "BREW"] {
        let request = format!("{method} /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello{SECOND}");
        cases.push(Case::new("9110 6.4", format!("a body of {method}"), request, echo(method, "5", "hello")));
    }
    cases.extend(old());
    cases
}

/// HTTP/1.0 has Content-Length only.
fn old() -> Vec<Case> {
    let old = |fields: &str| format!("POST /mark HTTP/1.0\r\n{fields}\r\n0\r\n\r\n{SECOND}");
    let mut cases: Vec<Case> = ["chunked", "identity", "gzip, chunked", "Chunked\r\nContent-Length: 5"]
        .iter()
        .map(|coding| {
            let request = old(&format!("Transfer-Encoding: {coding}\r\n"));
            Case::new("6.1", format!("HTTP/1.0 with the coding {coding:?}"), request, Status(400))
        })
        .collect();
    let request = |expect: &str| {
        format!("POST /echo HTTP/1.0\r\nHost: a\r\n{expect}Content-Length: 5\r\n\r\nhello{SECOND}")
    };
    let taken = || echo("POST", "5", "hello");
    cases.push(Case::new("6.3", "HTTP/1.0 with a length", request(""), taken()));
    let expecting = request("Expect: 100-continue\r\n");
    cases.push(Case::new("9110 10.1.1", "HTTP/1.0 cannot expect", expecting, taken()));
    cases
}
