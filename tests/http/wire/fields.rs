//! Header fields: names, values, folding, their number and size (RFC 9112, section 5; RFC 9110, section 5).

use super::Expected::{Echo, Status};
use super::{Case, echo};

/// Refused fields.
const REFUSED: &[(&str, &str)] = &[
    ("5.1", "X : 1"),
    ("5.1", "X\t: 1"),
    ("5.1", "X"),
    ("5.1", "X 1"),
    ("5.1", "X=1"),
    ("5.1", ": 1"),
    ("5.1", ":"),
    ("5.1", " : 1"),
    ("9110 5.1", "X y: 1"),
    ("9110 5.1", "X(: 1"),
    ("9110 5.1", "X): 1"),
    ("9110 5.1", "X,: 1"),
    ("9110 5.1", "X/y: 1"),
    ("9110 5.1", "X;: 1"),
    ("9110 5.1", "X<: 1"),
    ("9110 5.1", "X=y: 1"),
    ("9110 5.1", "X?: 1"),
    ("9110 5.1", "X@: 1"),
    ("9110 5.1", "X[0]: 1"),
    ("9110 5.1", "X\\: 1"),
    ("9110 5.1", "X{}: 1"),
    ("9110 5.1", "\"X\": 1"),
    ("9110 5.1", "X\0: 1"),
    ("9110 5.1", "X\u{1}: 1"),
    ("9110 5.1", "X\u{7f}: 1"),
    ("9110 5.1", "X\u{e9}: 1"),
    ("9110 5.1", "\u{feff}X: 1"),
    ("5.2", "X: 1\r\n folded"),
    ("5.2", "X: 1\r\n\tfolded"),
    ("5.2", "X:\r\n folded"),
    ("5.2", "X: 1\r\n  \r\nY: 2"),
    ("2.2", "X: 1\nY: 2"),
    ("2.2", "X: 1\rY: 2"),
    ("2.2", "X: 1\r\rY: 2"),
    ("2.2", "X: 1\r"),
    ("2.2", "X: 1\n"),
    ("2.2", "\n"),
    ("2.2", "\r"),
];

/// Values, and what reaches the handler.
const VALUES: &[(&str, &str, &str)] = &[
    ("5.1", "X:1", "1"),
    ("5.1", "X:   1", "1"),
    ("5.1", "X: \t1\t ", "1"),
    ("5.1", "X:", ""),
    ("5.1", "X: \t ", ""),
    ("9110 5.1", "x: lower", "lower"),
    ("9110 5.5", "X: a\tb", "a\tb"),
    ("9110 5.5", "X: \u{e9}", "\u{e9}"),
    ("9110 5.5", "X: a: b", "a: b"),
    ("9110 5.5", "X: \"quoted \\\" text\"", "\"quoted \\\" text\""),
    ("9110 5.5", "X: $(id) `id` ;id %n", "$(id) `id` ;id %n"),
    ("9110 5.3", "X: 1\r\nX: 2", "1, 2"),
    ("9110 5.3", "X: 1\r\nY: 9\r\nx: 2", "1, 2"),
    ("9110 5.1", "X!#$%&'*+-.^`|~: 9", ""),
    ("3875 4.1.18", "X_: 9", ""),
    ("3875 4.1.18", "X.: 9", ""),
    ("3875 4.1.18", "Proxy: http://evil:80", ""),
    ("3875 4.1.18", "PROXY: http://evil:80", ""),
    ("3875 4.1.18", "proxy: a\r\nX: 1\r\nProxy: b", "1"),
    ("3875 9.2", "X: () { :;}; echo vulnerable", "() { :;}; echo vulnerable"),
];

pub fn cases() -> Vec<Case> {
    let get = |target: &str, fields: &[u8]| {
        [format!("GET {target} HTTP/1.1\r\nHost: a\r\n").as_bytes(), fields, b"\r\n\r\n"].concat()
    };
    let mut cases: Vec<Case> = REFUSED
        .iter()
        .map(|&(rfc, field)| {
            Case::new(rfc, format!("{field:?}"), get("/mark", field.as_bytes()), Status(400))
        })
        .collect();
    cases.extend(VALUES.iter().map(|&(rfc, field, value)| {
        let expected = Echo(format!("GET|a||||{value}|"));
        Case::new(rfc, format!("{field:?}"), get("/echo", field.as_bytes()), expected)
    }));
    // Every control byte except tab; CR and LF have their own cases.
    for byte in (0..=31_u8).chain([127]).filter(|byte| !b"\t\r\n".contains(byte)) {
        let request = get("/mark", &[b"X: a", &[byte][..], b"b"].concat());
        cases.push(Case::new("9110 5.5", format!("byte {byte} in a value"), request, Status(400)));
        let request = get("/mark", &[b"X", &[byte][..], b"Y: b"].concat());
        cases.push(Case::new("9110 5.1", format!("byte {byte} in a name"), request, Status(400)));
    }
    cases.extend(sizes());
    cases
}

/// At most 100 fields, and 64 KiB.
fn sizes() -> Vec<Case> {
    let many = |n: usize| (1..n).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    let with_fields = |target: &str, n| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}\r\n", many(n));
    let with_size = |target: &str, size: usize| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nLarge: \r\n\r\n");
        head.replace("Large: ", &format!("Large: {}", "x".repeat(size - head.len())))
    };
    let endless = format!("GET /mark HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(70_000));
    let names = format!("GET /mark HTTP/1.1\r\nHost: a\r\n{}", "x".repeat(70_000));
    let lines = format!("GET /mark HTTP/1.1\r\nHost: a\r\n{}", "X: 1\r\n".repeat(10_000));
    let host = format!("GET /mark HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(70_000));
    let refused = |what: &str, request: String| Case::new("6585 5", what, request, Status(431));
    vec![
        Case::new("5.4", "100 fields", with_fields("/echo", 100), echo("GET", "", "")),
        refused("101 fields", with_fields("/mark", 101)),
        refused("10,000 fields", lines),
        Case::new("5.4", "a head of 64 KiB", with_size("/echo", 65_536), echo("GET", "", "")),
        refused("a head of one byte more", with_size("/mark", 65_537)),
        refused("a head of 200 kB", with_size("/mark", 200_000)),
        refused("a value without an end", endless),
        refused("a name without an end", names),
        refused("a host of 70 kB", host),
    ]
}
