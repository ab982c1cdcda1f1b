//! One request per connection: later data, in the same packet or not, is never executed (RFC 9112, section
//! 9).

use super::Expected::{Echo, Nothing, Status};
use super::{Case, Expected, SECOND, echo};

/// Complete first requests with their expected response.
fn firsts() -> Vec<(&'static str, &'static str, Expected)> {
    let hello = || echo("POST", "5", "hello");
    let get = || echo("GET", "", "");
    vec![
        ("9.3.2", "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", get()),
        ("9.3", "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", get()),
        ("9.3", "GET /echo HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", get()),
        ("9.6", "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", get()),
        ("9.6", "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n", get()),
        ("9110 7.8", "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", get()),
        ("9.3.2", "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n", echo("HEAD", "", "")),
        ("9.3.2", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", echo("POST", "0", "")),
        ("9.3.2", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", hello()),
        (
            "9.3.2",
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            hello(),
        ),
        (
            "9110 10.1.1",
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            hello(),
        ),
        ("9.6", "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n", Status(404)),
        ("9.6", "GET /text HTTP/1.1\r\nHost: a\r\n\r\n", Status(403)),
        ("9.6", "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Status(404)),
        ("9.6", "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", Status(404)),
        ("9.6", "POST /text HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Status(403)),
        (
            "9110 10.1.1",
            "POST /text HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            Status(403),
        ),
        (
            "9110 10.1.1",
            "POST /mark HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n",
            Status(413),
        ),
        ("9.6", "GET /mark HTTP/1.1\r\n\r\n", Status(400)),
        ("9.6", "GET /mark HTTP/2.0\r\nHost: a\r\n\r\n", Status(505)),
        ("9.6", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Status(501)),
        ("9.6", "POST /mark HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Status(400)),
    ]
}

/// Data after the first request.
fn followers() -> Vec<(&'static str, String)> {
    vec![
        ("a second one", SECOND.into()),
        ("ten more", SECOND.repeat(10)),
        ("an empty line and a second one", format!("\r\n{SECOND}")),
        ("half of one", SECOND[..20].into()),
        ("noise", "\0\u{1}\u{2}nonsense\r\n\r\n".into()),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rfc, first, expected) in firsts() {
        for (what, more) in followers() {
            let case = Case::new(rfc, format!("{first:?} and {what}"), first, expected.clone());
            cases.push(case.followed_by(&more));
        }
        let late = Case::new(rfc, format!("{first:?} and a second one late"), first, expected.clone());
        cases.push(late.late(SECOND));
        let alone = Case::new(rfc, format!("{first:?}, after which the client hangs up"), first, expected);
        cases.push(alone.hanging_up());
    }
    cases.extend(cut_bodies());
    cases
}

/// A client that hangs up before its body arrived is not waited for, and its handler never runs.
fn cut_bodies() -> Vec<Case> {
    let head = "POST /mark HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let mut cases: Vec<Case> = ["", "h", "hell"]
        .into_iter()
        .map(|body| {
            Case::new("8", format!("a body cut at {body:?}"), format!("{head}{body}"), Nothing).hanging_up()
        })
        .collect();
    let waits = "POST /mark HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 600\r\n\r\n";
    let expected = Echo("POST|a|||5||hello".into());
    let early =
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello and far too much".to_owned();
    cases.push(Case::new("6.3", "more body than announced", early, expected));
    cases.push(Case::new("8", "a body cut after consent", format!("{waits}half"), Nothing).hanging_up());
    cases
}
