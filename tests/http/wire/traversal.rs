//! Path traversal: ways out of the base directory to a program that leaves a mark (RFC 3986, sections 5.2.4,
//! 7.3).
//!
//! A segment that decodes to `..`, however often it is decoded, is never followed: 404. An invalid escape is
//! 400.

use super::Case;
use super::Expected::Status;

/// Spellings of one step up.
const UPS: &[(&str, u16)] = &[
    ("..", 404),
    ("%2e%2e", 404),
    ("%2E%2E", 404),
    (".%2e", 404),
    ("%2e.", 404),
    ("%252e%252e", 404),
    ("%25252e%25252e", 404),
    ("%%32%65%%32%65", 400),
    ("%%32e%%32e", 400),
    ("%u002e%u002e", 400),
    ("%uff0e%uff0e", 400),
    ("..%c0%af", 404),
    ("..%e0%80%af", 404),
    ("..%f0%80%80%af", 404),
    ("..%c1%9c", 404),
    ("%c0%ae%c0%ae", 404),
    ("%c0.%c0.", 404),
    ("%e0%80%ae%e0%80%ae", 404),
    ("%ef%bc%8e%ef%bc%8e", 404),
    ("..%5c", 404),
    ("..\\", 404),
    ("..%255c", 404),
    ("..;", 404),
    ("..;a=b", 404),
    ("..%3b", 404),
    ("..%00", 404),
    ("..%0a", 404),
    ("..%0d%0a", 404),
    ("..%20", 404),
    ("..%09", 404),
    ("..%2f", 404),
    ("..%2f.", 404),
    ("...", 404),
    ("....", 404),
    (".../..", 404),
    ("..?", 404),
    ("./..", 404),
    ("%2e/%2e%2e", 404),
    ("..//..", 404),
    (".", 404),
    ("%2e", 404),
    ("a/../..", 404),
    ("a/b/../../..", 404),
    ("sub/%2e%2e/..", 404),
];

/// Prefixes before the step.
const PLACES: &[&str] =
    &["/UP/outside", "/UP/UP/outside", "/sub/UP/UP/UP/outside", "/UP%2fUP%2foutside", "//UP//UP//outside"];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (up, status) in UPS {
        for place in PLACES {
            let target = place.replace("UP", up);
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            cases.push(Case::new("3986 7.3", target, request, Status(*status)));
        }
    }
    for target in ABSOLUTE {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new("3986 5.2.4", *target, request, Status(404)));
    }
    for target in ["http://a/../outside", "http://a/%2e%2e/outside", "http://a/..%2foutside"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new("3.2.2", target, request, Status(404)));
    }
    cases
}

/// Paths that a join with the base would treat as absolute, and other sensitive paths.
const ABSOLUTE: &[&str] = &[
    "//bin/true",
    "///bin/true",
    "/%2fbin%2ftrue",
    "/%2f/bin/true",
    "/bin/true",
    "/%5cbin%5ctrue",
    "/C:/outside",
    "/C:%5coutside",
    "/~root/outside",
    "/proc/self/exe",
    "/dev/fd/0",
    "/etc/passwd",
    "/sub/../mark",
    "/sub/./echo",
    "/./echo",
    "/sub/%2e/echo",
    "/sub%2fecho",
    "/a/b/../../echo",
];
