//! Local redirects (RFC 3875, section 6.2.2): the client and the new request go back to whichever worker takes them first,
//! and from there the way of every request.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::exchange::Relay;
use crate::http::limits::Limits;
use crate::http::refusal::Refusal;
use crate::http::request;
use crate::http::response;
use crate::listener::address::Shown;
use crate::server::keeper::note::{BYTES, Request};
use crate::server::today;
use crate::sys::{fdpass, net};

/// Most local redirects in a row.
const MOST_HOPS: u8 = 10;
/// Fields of a request that describe its body, which went to the handler that redirects.
const BODY_FIELDS: [&[u8]; 4] = [b"content-length", b"content-type", b"transfer-encoding", b"expect"];

const STOPPING: Refusal = Refusal::new(503, "the server is stopping");

/// The socket to the workers. Both ends stay open in the supervisor, so that what waits in it outlives a keeper.
#[derive(Debug)]
pub struct Redirects {
    pub entrance: OwnedFd,
    /// The workers' end, to take back what none of them took.
    pub exit: OwnedFd,
    /// No worker takes any more.
    closed: bool,
}

impl Redirects {
    pub fn new((entrance, exit): (OwnedFd, OwnedFd)) -> Self {
        Self { entrance, exit, closed: false }
    }

    pub fn open(&mut self) {
        self.closed = false;
    }

    /// Sends the client of a response to another handler.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn send(&self, relay: &Relay, target: &[u8]) -> Result<(), Refusal> {
        let Some(client) = relay.client() else { return Ok(()) };
        let request = &relay.facts.request;
        if self.closed {
            return Err(STOPPING);
        }
        if request.hops >= MOST_HOPS {
            return Err(Refusal::new(502, "there were too many local redirects in a row"));
        }
        if !request.whole {
            return Err(Refusal::new(502, "the request head is too long for a local redirect"));
        }
        let head = redirected(&request.head, target)
            .ok_or(Refusal::new(502, "the local redirect does not lead to a valid path"))?;
        let mut bytes = Vec::new();
        Request { hops: request.hops + 1, head, ..request.clone() }.encode(&mut bytes);
        fdpass::send_one(self.entrance.as_fd(), Some(client.as_fd()), &bytes)
            .map_err(|_| Refusal::new(503, "too many local redirects are waiting"))
    }

    /// No worker is left to take what waits: answers it with 503, and refuses what comes later.
    pub fn close(&mut self) {
        self.closed = true;
        let mut bytes = vec![0; BYTES];
        loop {
            match fdpass::receive_one(self.exit.as_fd(), &mut bytes, false) {
                Ok((length, Some(client))) => {
                    let request = Request::decode(&bytes[..length]);
                    let head_only =
                        request.as_ref().is_some_and(|request| request.head.starts_with(b"HEAD "));
                    let answer = response::refuse(&STOPPING, None, "", head_only, &today::now());
                    let _ = net::send(&client, &answer);
                    let peer = request.map(|request| Shown(request.client).to_string());
                    tracing::info!(peer, outcome = STOPPING.status, reason = STOPPING.reason);
                }
                Ok((_, None)) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// The head of a request for `target` by the client that sent `head`: GET, or HEAD if it was one, without a body. `None` if
/// that is not a valid request.
fn redirected(head: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let method: &[u8] = if head.starts_with(b"HEAD ") { b"HEAD " } else { b"GET " };
    let target = target.split(|&byte| byte == b'#').next()?;
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    let version = lines.next()?.rsplit(|&byte| byte == b' ').next()?;
    let describes_body = |line: &&[u8]| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        BODY_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
    };
    let fields: Vec<&[u8]> = lines.filter(|line| !describes_body(line)).collect();
    let new = [method, target, b" ", version, &fields.concat()].concat();
    let mut slots = request::slots();
    let parsed = request::parse(&new, &mut slots, &Limits::default()).ok().flatten();
    let valid = parsed.is_some_and(|head| head.len == new.len());
    valid.then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(head: &str, target: &str) -> Option<String> {
        redirected(head.as_bytes(), target.as_bytes()).map(|new| String::from_utf8(new).unwrap())
    }

    #[test]
    fn a_redirected_request_keeps_its_fields_but_not_its_body() {
        let post = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\ncontent-type: a/b\r\nExpect: 100-continue\r\nCookie: a\r\n\r\n";
        let get = "GET /b?c=d HTTP/1.1\r\nHost: x\r\nCookie: a\r\n\r\n";
        assert_eq!(text(post, "/b?c=d#e").as_deref(), Some(get));
        assert_eq!(text("HEAD / HTTP/1.0\r\n\r\n", "/b").as_deref(), Some("HEAD /b HTTP/1.0\r\n\r\n"));
    }

    #[test]
    fn a_target_that_would_be_more_than_a_path_is_none() {
        for target in ["/a b", "/a\tb", "/a HTTP/1.1\r\nHost: y\r\n\r\nGET /"] {
            assert_eq!(text("GET / HTTP/1.1\r\nHost: x\r\n\r\n", target), None, "{target:?}");
        }
    }
}
