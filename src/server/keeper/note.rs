//! Messages of workers and the supervisor to the keeper, and of the keeper to workers, through sockets that all workers
//! share. Encoding only.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::cgi::response::Response;
use crate::scoreboard::clients::Client;
use crate::scoreboard::mounts::Shares;

/// Longest handler name in a message; longer ones are cut.
const NAME_BYTES: usize = 200;
/// Longest name of a user in a message; longer ones are cut.
const USER_BYTES: usize = u8::MAX as usize;
/// Stands for no place.
const NOWHERE: u16 = u16::MAX;
/// Longest request head in a message; the fields that do not fit are left out.
pub const HEAD_BYTES: usize = 8 * 1024;
/// No message is longer.
pub const BYTES: usize = 128 + NAME_BYTES + USER_BYTES + HEAD_BYTES;

#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // it is read and used at once, and nearly all are launches
pub enum Note {
    /// A worker started a handler. Attached: the client and the handler's output if its response is relayed, then the
    /// pidfd if there is one.
    Launched(Launch),
    /// A worker ended before it reported all its launches.
    Gone {
        session: i32,
        /// Total of unreported launches of dead workers (`Header::lost`).
        lost: u64,
        /// Timeout of handlers of which no more is known.
        timeout: Option<Duration>,
    },
    Logging(u8),
    /// The keeper was told to end, and is needed again.
    Stay,
    /// Another program has taken over: its keeper watches what handlers leave behind.
    Succeeded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Number of reported launches of the worker, this one included (`Row::sent`).
    pub ordinal: u64,
    pub slot: u32,
    pub number: u32,
    /// Pid of the worker.
    pub worker: i32,
    /// Pid of the handler.
    pub pid: i32,
    /// Start time, CLOCK_MONOTONIC in ns.
    pub started_ns: u64,
    /// Timeout.
    pub timeout: Option<Duration>,
    /// Timeout of handlers of which no more is known than that they are the instance's.
    pub timeout_of_unknown: Option<Duration>,
    /// Where it counts besides the instance.
    pub shares: Shares,
    pub outcome: bool,
    /// The handler's `SCRIPT_NAME`.
    pub name: Arc<[u8]>,
    /// What the keeper must know to relay its response.
    pub relayed: Option<Request>,
}

/// A request on its way between a worker and the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub peer: SocketAddr,
    /// The peer, or the client that it speaks for as a trusted proxy.
    pub client: SocketAddr,
    /// The user that a trusted proxy names; empty if none does.
    pub user: Vec<u8>,
    /// Local redirects that led to it.
    pub hops: u8,
    /// What its handler writes.
    pub response: Response,
    /// Its head, which can be parsed. At most [`HEAD_BYTES`] long: see [`kept`].
    pub head: Vec<u8>,
    /// Whether the head is complete.
    pub whole: bool,
}

/// As many whole lines of a request head as fit into a message, and whether these are all.
pub fn kept(head: &[u8]) -> (Vec<u8>, bool) {
    if head.len() <= HEAD_BYTES {
        return (head.to_vec(), true);
    }
    let most = &head[..HEAD_BYTES - 2];
    let end = most.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    ([&head[..end], b"\r\n"].concat(), false)
}

const LAUNCHED: u8 = b'l';
const GONE: u8 = b'g';
const LOGGING: u8 = b'v';
const STAY: u8 = b's';
const SUCCEEDED: u8 = b'e';
const KINDS: [Response; 3] = [Response::Native, Response::Document, Response::Auto];

impl Note {
    /// Writes the message to `bytes`, in place of what is there.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        match self {
            Self::Launched(launch) => launch.append(bytes),
            Self::Gone { session, lost, timeout } => {
                bytes.push(GONE);
                bytes.extend(session.to_ne_bytes());
                bytes.extend(lost.to_ne_bytes());
                bytes.extend(seconds(*timeout).to_ne_bytes());
            }
            Self::Logging(how) => bytes.extend([LOGGING, *how]),
            Self::Stay => bytes.push(STAY),
            Self::Succeeded => bytes.push(SUCCEEDED),
        }
    }

    /// Parses a message; `None` if it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let mut from = Reader(rest);
        Some(match kind {
            LAUNCHED => Self::Launched(Launch::decode(&mut from)?),
            GONE => Self::Gone {
                session: i32::from_ne_bytes(from.take()?),
                lost: u64::from_ne_bytes(from.take()?),
                timeout: time(u64::from_ne_bytes(from.take()?)),
            },
            LOGGING => Self::Logging(from.byte()?),
            STAY => Self::Stay,
            SUCCEEDED => Self::Succeeded,
            _ => return None,
        })
    }
}

impl Launch {
    /// Writes the message about this launch to `bytes`, in place of what is there.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.append(bytes);
    }

    fn append(&self, to: &mut Vec<u8>) {
        to.extend([LAUNCHED, self.outcome.into(), self.relayed.is_some().into()]);
        to.extend(self.ordinal.to_ne_bytes());
        to.extend(self.slot.to_ne_bytes());
        to.extend(self.number.to_ne_bytes());
        to.extend(self.worker.to_ne_bytes());
        to.extend(self.pid.to_ne_bytes());
        to.extend(self.started_ns.to_ne_bytes());
        to.extend(seconds(self.timeout).to_ne_bytes());
        to.extend(seconds(self.timeout_of_unknown).to_ne_bytes());
        to.extend(self.shares.place.unwrap_or(NOWHERE).to_ne_bytes());
        to.extend(self.shares.client.map_or(0, Client::number).to_ne_bytes());
        let name = &self.name[..self.name.len().min(NAME_BYTES)];
        to.push(name.len() as u8);
        to.extend_from_slice(name);
        self.relayed.iter().for_each(|request| request.append(to));
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let (outcome, relayed) = (from.byte()? != 0, from.byte()? != 0);
        Some(Self {
            outcome,
            ordinal: u64::from_ne_bytes(from.take()?),
            slot: u32::from_ne_bytes(from.take()?),
            number: u32::from_ne_bytes(from.take()?),
            worker: i32::from_ne_bytes(from.take()?),
            pid: i32::from_ne_bytes(from.take()?),
            started_ns: u64::from_ne_bytes(from.take()?),
            timeout: time(u64::from_ne_bytes(from.take()?)),
            timeout_of_unknown: time(u64::from_ne_bytes(from.take()?)),
            shares: Shares {
                place: Some(u16::from_ne_bytes(from.take()?)).filter(|&place| place != NOWHERE),
                client: Client::numbered(u64::from_ne_bytes(from.take()?)),
            },
            name: {
                let length = from.byte()?.into();
                from.some(length)?.into()
            },
            relayed: if relayed { Some(Request::read(from)?) } else { None },
        })
    }
}

impl Request {
    /// Writes a message with the request alone, in place of what is there.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.append(bytes);
    }

    /// Method, target and minor version of its request line, which a worker has checked. `None` if the line was too long to be
    /// kept.
    pub fn line(&self) -> Option<(&str, &str, u8)> {
        let line = self.head.split(|&byte| byte == b'\r').next()?;
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        Some((method, target, u8::from(version != "HTTP/1.0")))
    }

    /// Drops all fields of its head but these. Then it can be logged, but not passed on.
    pub fn keep_fields(&mut self, names: &[&str]) {
        let is_kept = |line: &[u8]| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            names.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes())) || line == b"\r\n"
        };
        let mut kept = Vec::with_capacity(self.head.len());
        for line in self.head.split_inclusive(|&byte| byte == b'\n') {
            if kept.is_empty() || is_kept(line) {
                kept.extend_from_slice(line);
            }
        }
        kept.shrink_to_fit();
        self.head = kept;
        self.whole = false;
    }

    /// Parses such a message; `None` if it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Self::read(&mut Reader(bytes))
    }

    fn append(&self, to: &mut Vec<u8>) {
        let kind = KINDS.iter().position(|kind| *kind == self.response).unwrap_or(0);
        to.extend([self.hops, kind as u8, self.whole.into()]);
        append_address(to, self.peer);
        append_address(to, self.client);
        let user = &self.user[..self.user.len().min(USER_BYTES)];
        to.push(user.len() as u8);
        to.extend_from_slice(user);
        to.extend_from_slice(&self.head[..self.head.len().min(HEAD_BYTES)]);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (hops, kind, whole) = (from.byte()?, from.byte()?, from.byte()? != 0);
        let (peer, client) = (from.address()?, from.address()?);
        let user = from.byte()?.into();
        let user = from.some(user)?.to_vec();
        let response = *KINDS.get(usize::from(kind))?;
        Some(Self { peer, client, user, hops, response, whole, head: from.0.to_vec() })
    }
}

fn append_address(to: &mut Vec<u8>, address: SocketAddr) {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    to.extend(ip.octets());
    to.extend(address.port().to_ne_bytes());
}

/// Timeouts are whole seconds, never 0.
fn seconds(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |time| time.as_secs())
}

fn time(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*part)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take::<1>()?[0])
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip = IpAddr::V6(Ipv6Addr::from(self.take::<16>()?)).to_canonical();
        Some((ip, u16::from_ne_bytes(self.take()?)).into())
    }

    fn some(&mut self, length: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        Launch {
            ordinal: 7,
            slot: 3,
            number: 1,
            worker: 4711,
            pid: 4712,
            started_ns: u64::MAX,
            timeout: Some(Duration::from_secs(9)),
            timeout_of_unknown: Some(Duration::from_secs(8)),
            shares: Shares { place: Some(511), client: Client::numbered(u64::MAX) },
            outcome: true,
            name: b"/shop/cart"[..].into(),
            relayed: None,
        }
    }

    fn request(peer: &str) -> Request {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        let (peer, client) = (peer.parse().unwrap(), ([192, 0, 2, 1], 0).into());
        Request { peer, client, user: b"ann".to_vec(), hops: 3, response: Response::Auto, head, whole: true }
    }

    #[test]
    fn messages_are_read_as_they_were_written() {
        let gone = Note::Gone { session: 5, lost: 2, timeout: None };
        let relayed = Launch { relayed: Some(request("[::1]:80")), ..launch() };
        let mut bytes = Vec::new();
        for note in [
            Note::Launched(launch()),
            Note::Launched(relayed),
            gone,
            Note::Logging(3),
            Note::Stay,
            Note::Succeeded,
        ] {
            note.encode(&mut bytes);
            assert_eq!(Note::decode(&bytes), Some(note));
        }
        for request in [request("127.0.0.1:1"), request("[2001:db8::1]:65535")] {
            request.encode(&mut bytes);
            assert_eq!(Request::decode(&bytes), Some(request));
        }
        let head = vec![b'x'; 100_000];
        let long = Request { head, user: vec![b'x'; 5000], ..request("[::1]:80") };
        Note::Launched(Launch { name: vec![b'x'; 5000].into(), relayed: Some(long), ..launch() })
            .encode(&mut bytes);
        assert!(bytes.len() <= BYTES && bytes.len() > HEAD_BYTES + NAME_BYTES + USER_BYTES);
    }

    #[test]
    fn what_is_not_a_message_is_not_read() {
        for bytes in [&b""[..], b"x", b"l", b"g123", b"v"] {
            assert_eq!(Note::decode(bytes), None);
        }
        assert_eq!(Request::decode(b"123"), None);
    }

    #[test]
    fn fields_of_a_head_can_be_dropped() {
        let head = "POST /a?b HTTP/1.1\r\nCookie: c\r\nhost: x\r\nUser-Agent: y\r\nContent-Length: 3\r\n\r\n";
        let mut request = Request { head: head.into(), ..request("[::1]:80") };
        request.keep_fields(&["host", "user-agent"]);
        assert_eq!(request.head, b"POST /a?b HTTP/1.1\r\nhost: x\r\nUser-Agent: y\r\n\r\n");
        assert!(!request.whole);
    }

    #[test]
    fn a_request_line_has_a_method_a_target_and_a_version() {
        let line = |head: &str| {
            let request = Request { head: head.into(), ..request("[::1]:80") };
            request.line().map(|(method, target, minor)| (method.to_owned(), target.to_owned(), minor))
        };
        assert_eq!(line("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"), Some(("GET".into(), "/a?b".into(), 1)));
        assert_eq!(line("HEAD / HTTP/1.0\r\n\r\n"), Some(("HEAD".into(), "/".into(), 0)));
        let (cut, whole) = kept(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(HEAD_BYTES)).as_bytes());
        assert_eq!((line(std::str::from_utf8(&cut).unwrap()), whole), (None, false));
    }

    #[test]
    fn a_head_is_kept_whole_or_cut_after_a_line() {
        let short = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(kept(short), (short.to_vec(), true));
        let field = format!("A: {}\r\n", "b".repeat(1000));
        let long = format!("GET / HTTP/1.1\r\n{}\r\n", field.repeat(20));
        let (head, whole) = kept(long.as_bytes());
        assert!(!whole && head.len() <= HEAD_BYTES && head.ends_with(b"b\r\n\r\n"));
    }
}
