//! The request line: methods, versions, and bytes before it (RFC 9112, sections 2 and 3).

use super::Expected::{Nothing, Status};
use super::{Case, echo};

/// Methods that are tokens (RFC 9110, sections 5.6.2 and 9.1).
const METHODS: &[&str] = &[
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "M-SEARCH",
    "BREW",
    "get",
    "Get",
    "G",
    "!#$%&'*+-.^_`|~09",
    "GETX",
    "A-METHOD-THAT-IS-LONGER-THAN-ANY-THAT-WAS-EVER-REGISTERED-SOMEWHERE",
];

/// Invalid methods.
const NO_METHODS: &[&str] = &[
    "",
    " GET",
    "G T",
    "G(T",
    "G)T",
    "G<T",
    "G>T",
    "G@T",
    "G,T",
    "G;T",
    "G:T",
    "G\\T",
    "G\"T",
    "G/T",
    "G[T",
    "G]T",
    "G?T",
    "G=T",
    "G{T",
    "G}T",
    "G\tT",
    "G\0T",
    "G\u{7f}T",
    "G\u{e9}T",
    "G\u{b}T",
    "\u{1}GET",
    "\u{feff}GET",
];

/// Complete heads with their section and expected status.
const STARTS: &[(&str, &str, u16)] = &[
    ("3", "GET /mark\r\nHost: a\r\n\r\n", 400),
    ("3", "GET /mark \r\nHost: a\r\n\r\n", 400),
    ("3", "GET\r\nHost: a\r\n\r\n", 400),
    ("3", "/mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET  /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET /mark  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET /mark HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("3", "GET /mark HTTP/1.1\t\r\nHost: a\r\n\r\n", 400),
    ("3", "GET\t/mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET /mark\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET\u{b}/mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET /mark\u{c}HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET\u{a0}/mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "GET,/mark,HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("3", "nonsense\r\n\r\n", 400),
    ("2.3", "GET /mark http/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark Http/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1,1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/11\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1.\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/01.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1.1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1.20\r\nHost: a\r\n\r\n", 400),
    ("9110 2.5", "GET /mark HTTP/1.2\r\n\r\n", 400), // as HTTP/1.1 it needs a Host
    ("2.3", "GET /mark HTTP/-1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP/1.a\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP /1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTP 1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTTPS/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark HTCPCP/1.0\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark SIP/2.0\r\nHost: a\r\n\r\n", 400),
    ("2.3", "GET /mark \u{ff28}TTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("9110 15.6.6", "GET /mark HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ("9110 15.6.6", "GET /mark HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ("9110 15.6.6", "GET /mark HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    ("9110 15.6.6", "GET /mark HTTP/9.9\r\nHost: a\r\n\r\n", 505),
    ("9110 15.6.6", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("2.2", "\r\n\r\nGET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "\nGET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "\r\n\nGET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "\rGET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", " \r\nGET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "\tGET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "\0GET /mark HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "GET /mark HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("2.2", "GET /mark HTTP/1.1\r\n\tX: 1\r\nHost: a\r\n\r\n", 400),
    ("2.2", "GET /mark HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400),
    ("3", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}", 400),
    ("3", "SSH-2.0-OpenSSH_9.9\r\n", 400),
    ("3", "\u{80}\u{2e}\u{1}\u{3}\u{1}", 400),
    ("3", "*1\r\n$4\r\nPING\r\n", 400),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in METHODS {
        let request = format!("{method} /echo HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new("9110 9.1", format!("method {method}"), request, echo(method, "", "")));
    }
    for method in NO_METHODS {
        let request = format!("{method} /mark HTTP/1.1\r\nHost: a\r\n\r\n");
        cases.push(Case::new("9110 5.6.2", format!("method {method:?}"), request, Status(400)));
    }
    cases.extend(
        STARTS.iter().map(|&(rfc, text, status)| Case::new(rfc, format!("{text:?}"), text, Status(status))),
    );
    let one_line = "\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
    cases.push(Case::new("2.2", "one empty line first", one_line, echo("GET", "", "")));
    let without = super::Expected::Echo("GET|127.0.0.1|||||".into());
    cases.push(Case::new("2.3", "HTTP/1.0", "GET /echo HTTP/1.0\r\n\r\n", without));
    for version in ["HTTP/1.2", "HTTP/1.3", "HTTP/1.9"] {
        let request = format!("GET /echo {version}\r\nHost: a\r\n\r\n");
        cases.push(Case::new("9110 2.5", version, request, echo("GET", "", "")));
    }
    cases.extend(long());
    cases.extend(cut());
    cases
}

/// The longest line is 8192 bytes.
fn long() -> Vec<Case> {
    let line = |target: &str, length: usize| {
        let rest = length - "GET ".len() - target.len() - " HTTP/1.1".len();
        (target.to_owned() + &"x".repeat(rest), rest)
    };
    let (target, rest) = line("/echo?", 8192);
    let expected = super::Expected::Echo(format!("GET|a||{}|||", "x".repeat(rest)));
    let whole = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (over, _) = line("/mark?", 8193);
    let endless = format!("GET /mark?{}", "x".repeat(9000));
    let method = format!("{} /mark HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(9000));
    vec![
        Case::new("3", "a line as long as may be", whole, expected),
        Case::new(
            "9110 15.5.15",
            "one byte more",
            format!("GET {over} HTTP/1.1\r\nHost: a\r\n\r\n"),
            Status(414),
        ),
        Case::new("9110 15.5.15", "a line without an end", endless, Status(414)),
        Case::new("9110 15.5.15", "a megabyte", format!("GET /mark/{}", "x".repeat(1 << 20)), Status(414)),
        Case::new("3", "a method of 9000 bytes", method, Status(414)),
    ]
}

/// The client disconnects in the middle.
fn cut() -> Vec<Case> {
    let whole = "GET /mark HTTP/1.1\r\nHost: a\r\n\r\n";
    [0, 1, 3, 4, 9, 12, 18, 19, 20, 24, 28, 29, 30]
        .into_iter()
        .map(|end| {
            Case::new("8", format!("cut after {end} bytes"), &whole.as_bytes()[..end], Nothing).hanging_up()
        })
        .collect()
}
