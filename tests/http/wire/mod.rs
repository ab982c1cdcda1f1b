//! The wire suite: bytes of a request, the section of the RFC that judges them, and the exact answer owed.
//!
//! Each case is sent twice, in one piece and in two, since these go through different threads of a worker. An answer of
//! the server's own must be complete and the last of its connection. What must never happen is told by a side effect:
//! `/mark`, and a program outside the base directory, leave a line in a file, and at the end that file is not there.
//!
//! Sections are of RFC 9112 (HTTP/1.1), with a prefix where they are of RFC 9110 (HTTP semantics), 3986 (URI), 3875 (CGI).

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

/// A request that must not be executed, whatever comes before it on its connection.
pub const SECOND: &str = "GET /mark?second HTTP/1.1\r\nHost: a\r\n\r\n";
/// The largest body that the server under test takes.
pub const MAX_BODY: usize = 1000;
/// What a handler is asked for, for the answer [`Owed::Echo`].
const ECHO: &str = "#!/bin/sh
printf 'HTTP/1.1 200 OK\\r\\n\\r\\n%s|%s|%s|%s|%s|%s|' \"$REQUEST_METHOD\" \"$SERVER_NAME\" \"$PATH_INFO\" \"$QUERY_STRING\" \"$CONTENT_LENGTH\" \"$HTTP_X$HTTP_PROXY\"
exec cat
";

/// The answer owed to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Owed {
    /// An answer of the server's own.
    Status(u16),
    /// `/echo` ran: method, server name, path info, query, content length, field `X`, each with a bar, then the body.
    Echo(String),
    /// The server says that it is there (`OPTIONS *`).
    Present,
    /// The end of the connection, without a word.
    Nothing,
}

/// One line of a table.
#[derive(Debug)]
pub struct Case {
    /// The section that judges it.
    rfc: &'static str,
    what: String,
    /// Sent at first.
    send: Vec<u8>,
    /// Sent when the answer has begun to arrive.
    late: Vec<u8>,
    /// Where `send` is cut when it goes out in two pieces.
    cut: usize,
    /// Whether the client then closes its side.
    hang_up: bool,
    owed: Owed,
}

impl Case {
    pub fn new(rfc: &'static str, what: impl Into<String>, send: impl Into<Vec<u8>>, owed: Owed) -> Self {
        let send = send.into();
        // In the head, or what comes behind the request could arrive while its handler has the connection.
        let head = send.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(send.len());
        Self { rfc, what: what.into(), cut: head / 2, send, late: Vec::new(), hang_up: false, owed }
    }

    /// With `more` behind it, which arrives no later than the end of the request itself.
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

/// `/echo`, asked with `method`, of a client that calls the server `a`.
pub fn echo(method: &str, length: &str, body: &str) -> Owed {
    Owed::Echo(format!("{method}|a|||{length}||{body}"))
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

/// What came back for a case; `split` is where its bytes are cut in two.
fn exchange(server: &Server, case: &Case, split: usize) -> Vec<u8> {
    let mut stream = connect(server.port());
    stream.set_nodelay(true).unwrap();
    let (first, rest) = case.send.split_at(split);
    let _ = stream.write_all(first); // a large one may be answered, and the connection closed, before it is sent whole
    if !rest.is_empty() {
        std::thread::sleep(Duration::from_millis(2)); // a boundary between segments: nothing is waited for
        let _ = stream.write_all(rest); // it may have been refused already
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
    // What arrives while a handler has the connection may cost the end of its response (RFC 9112, section 9.6).
    let reset = stream.read_to_end(&mut answer).is_err();
    if reset && case.late.is_empty() {
        answer.extend_from_slice(b"(reset)");
    }
    answer
}

/// What is wrong with an answer.
fn complaint(case: &Case, answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    match &case.owed {
        Owed::Nothing => (!answer.is_empty()).then(|| format!("nothing is owed, but came: {text:?}")),
        Owed::Echo(owed) => {
            let whole = format!("HTTP/1.1 200 OK\r\n\r\n{owed}");
            (text != whole && (case.late.is_empty() || !whole.starts_with(&*text)))
                .then(|| format!("owed {owed:?}, came {text:?}"))
        }
        Owed::Present => {
            let owed = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let dated = |line: &&str| !line.starts_with("Date: ");
            let undated: String = text.split_inclusive("\r\n").filter(dated).collect();
            (undated != owed || undated == text).then(|| format!("owed {owed:?} and a Date, came {text:?}"))
        }
        Owed::Status(_) if !text.contains("\r\n\r\n") => Some(format!("no answer: {text:?}")),
        Owed::Status(status) => {
            let response = Response::parse(answer);
            let own = response.status == *status
                && response.header("connection") == Some("close")
                && response.text().starts_with(&format!("{status} "))
                && response.text().ends_with('\n')
                && response.header("content-length") == Some(&*response.body.len().to_string());
            (!own).then(|| format!("owed {status}, came {text:?}"))
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
    // Two steps above the base, and one.
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
    server.stop(); // handlers that were launched have ended now
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
