//! Request smuggling: requests that a front end and a back end could read differently.

use super::Expected::Status;
use super::{Case, SECOND, echo};

/// An empty chunked body followed by `SECOND`.
const ENDED: &str = "0\r\n\r\n";

/// Ways to hide Transfer-Encoding from one of two parsers, beside a Content-Length.
const HIDDEN: &[(&str, &str)] = &[
    ("6.1", "Transfer-Encoding: chunked"),
    ("6.1", "Transfer-Encoding:\tchunked"),
    ("6.1", "transfer-encoding: CHUNKED"),
    ("6.1", "Transfer-Encoding: xchunked"),
    ("6.1", "Transfer-Encoding: chunked, cow"),
    ("6.1", "Transfer-Encoding: cow, chunked"),
    ("6.1", "Transfer-Encoding: chunked\r\nTransfer-encoding: cow"),
    ("6.1", "Transfer-Encoding: cow\r\nTransfer-encoding: chunked"),
    ("6.1", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
    ("6.1", "Transfer-Encoding: \"chunked\""),
    ("5.1", "Transfer-Encoding : chunked"),
    ("5.1", "Transfer-Encoding\t:chunked"),
    ("5.1", "Transfer Encoding: chunked"),
    ("5.2", "X: x\r\n Transfer-Encoding: chunked"),
    ("5.2", "Transfer-Encoding:\r\n chunked"),
    ("5.2", "Transfer-Encoding:\r\n\tchunked"),
    ("2.2", "X: x\nTransfer-Encoding: chunked"),
    ("2.2", "X: x\rTransfer-Encoding: chunked"),
    ("2.2", "Transfer-Encoding\n: chunked"),
    ("2.2", "Transfer-Encoding: chunked\nX: x"),
    ("9110 5.1", "Transfer-Encoding\0: chunked"),
    ("9110 5.1", "\0Transfer-Encoding: chunked"),
    ("9110 5.1", "Transfer-Encoding\u{a0}: chunked"),
    ("9110 5.1", "Transfer-Encodi\u{1e45}g: chunked"),
    ("9110 5.1", "Transfer-Encoding\u{7f}: chunked"),
    ("9110 5.1", "Transfer\u{b}-Encoding: chunked"),
    ("9110 5.5", "Transfer-Encoding: \u{b}chunked"),
    ("9110 5.5", "Transfer-Encoding: \0chunked"),
    ("9110 5.5", "Transfer-Encoding: chunked\u{c}"),
    ("9110 5.5", "Transfer-Encoding: chu\0nked"),
];

/// Look-alike names: they are other fields, so Content-Length applies.
const LOOKALIKES: &[&str] = &[
    "Transfer_Encoding: chunked",
    "Transfer-Encoding-: chunked",
    "X-Transfer-Encoding: chunked",
    "TransferEncoding: chunked",
    "Transfer--Encoding: chunked",
    "Transfer.Encoding: chunked",
    "Content_Length: 0",
    "Content-Length-: 0",
    "X-Content-Length: 0",
    "ContentLength: 0",
    "Content.Length: 0",
    "Content-Lengt: 0",
    "Content-Type: chunked",
    "TE: chunked",
    "Trailer: Content-Length",
    "Connection: Content-Length",
    "Connection: close, Content-Length, Transfer-Encoding",
    "Keep-Alive: 5",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Upgrade: TLS/1.0",
    "X-HTTP-Method-Override: GET",
    "Sec-WebSocket-Key: x",
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rfc, field) in HIDDEN {
        // CL.TE: one parser takes everything as the body, the other ends it at the 0.
        let length = ENDED.len() + SECOND.len();
        for fields in [
            format!("Content-Length: {length}\r\n{field}\r\n"),
            format!("{field}\r\nContent-Length: {length}\r\n"),
        ] {
            let request = format!("POST /mark HTTP/1.1\r\nHost: a\r\n{fields}\r\n{ENDED}{SECOND}");
            cases.push(Case::new(rfc, format!("CL.TE {fields:?}"), request, Status(400)));
        }
        // TE.CL: the chunk is a request for a parser that counts bytes.
        let chunk = format!("{:x}\r\n", SECOND.len());
        let fields = format!("Content-Length: {}\r\n{field}\r\n", chunk.len());
        let request = format!("POST /mark HTTP/1.1\r\nHost: a\r\n{fields}\r\n{chunk}{SECOND}\r\n0\r\n\r\n");
        cases.push(Case::new(rfc, format!("TE.CL {fields:?}"), request, Status(400)));
    }
    cases.extend(LOOKALIKES.iter().map(|field| {
        let body = format!("{ENDED}{SECOND}");
        let length = body.len().to_string();
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\n{field}\r\nContent-Length: {length}\r\n\r\n{body}{SECOND}"
        );
        Case::new("6.3", format!("{field:?}"), request, echo("POST", &length, &body))
    }));
    cases.extend(inside());
    cases.extend(split_lines());
    cases
}

/// A request inside a body is part of the body.
fn inside() -> Vec<Case> {
    let length = SECOND.len().to_string();
    let size = format!("{:x}", SECOND.len());
    let by_length = |method: &str| {
        let request =
            format!("{method} /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{SECOND}");
        Case::new(
            "6.3",
            format!("{method} with a request for a body"),
            request,
            echo(method, &length, SECOND),
        )
    };
    let chunked = |what: &str, before: &str, after: &str| {
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{before}{size}\r\n{SECOND}\r\n0\r\n{after}"
        );
        Case::new("7.1", what, request, echo("POST", &length, SECOND))
    };
    vec![
        by_length("GET"),
        by_length("HEAD"),
        by_length("POST"),
        by_length("OPTIONS"),
        chunked("a chunk that is a request", "", "\r\n"),
        chunked("a request behind the last chunk", "", &format!("\r\n{SECOND}")),
        chunked("a trailer that would be a length", "", &format!("Content-Length: 40\r\n\r\n{SECOND}")),
        chunked("a trailer that would be a coding", "", &format!("Transfer-Encoding: x\r\n\r\n{SECOND}")),
    ]
}

/// Line ends that only some parsers recognise.
fn split_lines() -> Vec<Case> {
    let whole: &[(&str, &str)] = &[
        ("2.2", "GET /mark HTTP/1.1\rHost: a\r\r\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\nHost: a\n\n"),
        ("2.2", "GET /mark HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\r\nHost: a\r\n\nGET /mark HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\r\rGET /mark HTTP/1.1\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\n\nGET /mark HTTP/1.1\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\r\nHost: a\r\nX: \rGET /mark HTTP/1.1\r\n\r\n"),
        ("3", "GET /mark HTTP/1.1 X\r\nHost: a\r\n\r\n"),
        ("3", "GET /mark HTTP/1.1 GET /mark HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("3", "GET /mark HTTP/1.1\u{b}\r\nHost: a\r\n\r\n"),
        ("9110 5.5", "GET /mark HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\r\r\nHost: a\r\n\r\n"),
        ("2.2", "GET /mark HTTP/1.1\n\r\nHost: a\r\n\r\n"),
    ];
    whole.iter().map(|&(rfc, text)| Case::new(rfc, format!("{text:?}"), text, Status(400))).collect()
}
