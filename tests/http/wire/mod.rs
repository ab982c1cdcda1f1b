//! The wire suite: the bytes of a request, the section of the RFC that applies, and the exact expected
//! response.
//!
//! Each case is sent twice, in one piece and in two, since these go through different threads of a worker. A
//! response of the server itself must be complete and the last on its connection. Forbidden execution is seen
//! by a side effect: `/mark` and a program outside the base directory write a line to a file, which must not
//! exist at the end.
//!
//! Sections are of RFC 9112 (HTTP/1.1); a prefix names RFC 9110 (HTTP semantics), 3986 (URI) or 3875 (CGI).

mod chunks;
mod fields;
mod framing;
mod hosts;
mod lines;
mod sequence;
mod smuggling;
mod targets;
mod traversal;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::harness::{Response, Sandbox, Server, connect, read_some};

/// A request that must not be executed, whatever precedes it on its connection.
pub const SECOND: &str = "GET /mark?second HTTP/1.1\r\nHost: a\r\n\r\n";
/// The largest body the server under test accepts.
pub const MAX_BODY: usize = 1000;
/// What the echo handler prints, see [`Expected::Echo`].
const ECHO: &str = "#!/bin/sh
printf 'HTTP/1.1 200 OK\\r\\n\\r\\n%s|%s|%s|%s|%s|%s|' \"$REQUEST_METHOD\" \"$SERVER_NAME\" \"$PATH_INFO\" \"$QUERY_STRING\" \"$CONTENT_LENGTH\" \"$HTTP_X$HTTP_PROXY\"
exec cat
";

/// The expected response.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A status sent by the server itself.
    Status(u16),
    /// `/echo` ran: method, server name, path info, query, content length, field `X`, each with a bar, then
    /// the body.
    Echo(String),
    /// The response to `OPTIONS *`.
    Present,
    /// The connection closes without a response.
    Nothing,
}

/// One row of a table.
#[derive(Debug)]
pub struct Case {
    /// The section that applies.
    rfc: &'static str,
    what: String,
    /// Sent first.
    send: Vec<u8>,
    /// Sent once the response has begun to arrive.
    late: Vec<u8>,
    /// Where `send` is split when it is sent in two pieces.
    cut: usize,
    /// Whether the client then closes its side.
    hang_up: bool,
    expected: Expected,
}

impl Case {
    pub fn new(
        rfc: &'static str,
        what: impl Into<String>,
        send: impl Into<Vec<u8>>,
        expected: Expected,
    ) -> Self {
        let send = send.into();
        // In the head; otherwise data after the request could arrive while its handler has the connection.
        let head = send.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(send.len());
        Self { rfc, what: what.into(), cut: head / 2, send, late: Vec::new(), hang_up: false, expected }
    }

    /// Followed by `more`, which arrives no later than the end of the request itself.
    pub fn followed_by(mut self, more: &str) -> Self {
        self.send.extend_from_slice(more.as_bytes());
        self
    }

    pub fn late(mut self, late: impl Into<Vec<u8>>) -> Self {
        self.late = late.into();
        self
    }

    pub fn hanging_up(mut self) -> Self {
        self.hang_up = true;
        self
    }
}

/// The response of `/echo` to `method` from a client that calls the server `a`.
pub fn echo(method: &str, length: &str, body: &str) -> Expected {
    Expected::Echo(format!("{method}|a|||{length}||{body}"))
}

fn tables() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("framing", framing::cases()),
        ("smuggling", smuggling::cases()),
        ("chunks", chunks::cases()),
        ("lines", lines::cases()),
        ("fields", fields::cases()),
        ("hosts", hosts::cases()),
        ("targets", targets::cases()),
        ("traversal", traversal::cases()),
        ("sequence", sequence::cases()),
    ]
}

/// The response to a case; `split` is where its bytes are cut in two.
fn exchange(server: &Server, case: &Case, split: usize) -> Vec<u8> {
    let mut stream = connect(server.port());
    stream.set_nodelay(true).unwrap();
    let (first, rest) = case.send.split_at(split);
    let _ = stream.write_all(first); // the server may respond and close before a large one is sent completely
    if !rest.is_empty() {
        std::thread::sleep(Duration::from_millis(2)); // separates the segments; no condition to wait for
        let _ = stream.write_all(rest); // the request may already have been refused
    }
    let mut answer = Vec::new();
    if !case.late.is_empty() {
        let mut piece = [0; 4096];
        let n = read_some(&mut stream, &mut piece);
        answer.extend_from_slice(&piece[..n]);
        let _ = stream.write_all(&case.late);
    }
    if case.hang_up {
        let _ = stream.shutdown(Shutdown::Write);
    }
    // Data arriving while a handler has the connection may cut off its response (RFC 9112, section 9.6).
    let reset = stream.read_to_end(&mut answer).is_err();
    if reset && case.late.is_empty() {
        answer.extend_from_slice(b"(reset)");
    }
    answer
}

/// What is wrong with a response.
fn complaint(case: &Case, answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    match &case.expected {
        Expected::Nothing => (!answer.is_empty()).then(|| format!("nothing is expected, but came: {text:?}")),
        Expected::Echo(expected) => {
            let whole = format!("HTTP/1.1 200 OK\r\n\r\n{expected}");
            (text != whole && (case.late.is_empty() || !whole.starts_with(&*text)))
                .then(|| format!("expected {expected:?}, came {text:?}"))
        }
        Expected::Present => {
            let expected = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let dated = |line: &&str| !line.starts_with("Date: ");
            let undated: String = text.split_inclusive("\r\n").filter(dated).collect();
            (undated != expected || undated == text)
                .then(|| format!("expected {expected:?} and a Date, came {text:?}"))
        }
        Expected::Status(_) if !text.contains("\r\n\r\n") => Some(format!("no answer: {text:?}")),
        Expected::Status(status) => {
            let response = Response::parse(answer);
            let own = response.status == *status
                && response.header("connection") == Some("close")
                && response.text().starts_with(&format!("{status} "))
                && response.text().ends_with('\n')
                && response.header("content-length") == Some(&*response.body.len().to_string());
            (!own).then(|| format!("expected {status}, came {text:?}"))
        }
    }
}

/// A server with `/echo`, `/mark`, and a program outside its base that must not run.
fn with_handlers() -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("echo", ECHO);
    sandbox.handler("sub/echo", ECHO);
    let mark = sandbox.path("marks");
    let leaves = format!(
        "#!/bin/sh\necho \"port $REMOTE_PORT: $REQUEST_URI $SCRIPT_FILENAME\" >>'{}'\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nran'\n",
        mark.display()
    );
    sandbox.handler("mark", &leaves);
    // Two levels above the base, and one.
    sandbox.program("outside", &leaves);
    sandbox.program(".config/outside", &leaves);
    sandbox.write(".config/caffeine/text", &leaves);
    sandbox.handler(".hidden", &leaves);
    std::fs::create_dir_all(sandbox.handlers().join("a/b")).unwrap();
    let server = sandbox.start(&["-w", "2", "--max-body", &MAX_BODY.to_string()]);
    (sandbox, server)
}

#[test]
fn every_request_gets_the_expected_response_and_has_no_other_effect() {
    let (sandbox, server) = with_handlers();
    let tables = tables();
    let cases: Vec<(&str, &Case)> =
        tables.iter().flat_map(|(subject, cases)| cases.iter().map(move |case| (*subject, case))).collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((subject, case)) = cases.get(next.fetch_add(1, Relaxed)) {
                    for split in [case.send.len(), case.cut] {
                        let answer = exchange(&server, case, split);
                        if let Some(complaint) = complaint(case, &answer) {
                            let Case { rfc, what, .. } = case;
                            let line = format!("{subject} ({rfc}) {what}, cut at {split}: {complaint}");
                            failures.lock().unwrap().push(line);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
    server.stop(); // launched handlers have exited now
    let marks = std::fs::read_to_string(sandbox.path("marks")).unwrap_or_default();
    assert!(marks.is_empty(), "these ran:\n{marks}");
}

#[test]
fn the_forbidden_mark_is_detected_if_it_is_left() {
    let (sandbox, server) = with_handlers();
    assert_eq!(server.get("/mark?first").text(), "ran");
    assert!(std::fs::read_to_string(sandbox.path("marks")).unwrap().contains("/mark?first"));
}

#[test]
fn the_tables_have_hundreds_of_distinct_cases_with_sections() {
    let tables = tables();
    let cases: Vec<&Case> = tables.iter().flat_map(|(_, cases)| cases).collect();
    assert!(cases.len() >= 500, "{}", cases.len());
    let mut seen = std::collections::HashMap::new();
    let mut twice = Vec::new();
    for case in &cases {
        let section = case.rfc.rsplit(' ').next().unwrap();
        let number = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_digit());
        assert!(section.split('.').all(number), "{case:?}");
        if let Some(other) = seen.insert((&case.send, &case.late, case.hang_up), &case.what) {
            twice.push(format!("{other} and {}", case.what));
        }
    }
    assert!(twice.is_empty(), "the same bytes:\n{}", twice.join("\n"));
}
