//! Messages of workers and the supervisor to the keeper, through a socket that all workers share. Encoding only.

use std::time::Duration;

/// Longest handler name in a message; longer ones are cut.
const NAME_BYTES: usize = 200;
/// Size of the largest message.
pub const BYTES: usize = FIXED + NAME_BYTES;
/// Stands for no place.
const NOWHERE: u16 = u16::MAX;
const FIXED: usize = 52;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A worker started a handler; the pidfd is attached.
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
    /// Where it counts besides the instance: the place of a mount with a limit.
    pub place: Option<u16>,
    pub outcome: bool,
    /// The handler's `SCRIPT_NAME`.
    pub name: Vec<u8>,
}

const LAUNCHED: u8 = b'l';
const GONE: u8 = b'g';
const LOGGING: u8 = b'v';

impl Note {
    /// Writes the message to `bytes` and returns its length. Does not allocate.
    pub fn encode(&self, bytes: &mut [u8; BYTES]) -> usize {
        let mut to = Cursor { bytes: &mut *bytes, at: 0 };
        match self {
            Self::Launched(launch) => return launch.encode(bytes),
            Self::Gone { session, lost, timeout } => {
                to.put(&[GONE]);
                to.put(&session.to_ne_bytes());
                to.put(&lost.to_ne_bytes());
                to.put(&seconds(*timeout).to_ne_bytes());
            }
            Self::Logging(how) => to.put(&[LOGGING, *how]),
        }
        to.at
    }

    /// Parses a message; `None` if it is malformed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let mut from = Reader(rest);
        Some(match kind {
            LAUNCHED => {
                let outcome = from.take::<1>()?[0] != 0;
                Self::Launched(Launch {
                    outcome,
                    ordinal: u64::from_ne_bytes(from.take()?),
                    slot: u32::from_ne_bytes(from.take()?),
                    number: u32::from_ne_bytes(from.take()?),
                    worker: i32::from_ne_bytes(from.take()?),
                    pid: i32::from_ne_bytes(from.take()?),
                    started_ns: u64::from_ne_bytes(from.take()?),
                    timeout: time(u64::from_ne_bytes(from.take()?)),
                    timeout_of_unknown: time(u64::from_ne_bytes(from.take()?)),
                    place: Some(u16::from_ne_bytes(from.take()?)).filter(|&place| place != NOWHERE),
                    name: from.0.to_vec(),
                })
            }
            GONE => Self::Gone {
                session: i32::from_ne_bytes(from.take()?),
                lost: u64::from_ne_bytes(from.take()?),
                timeout: time(u64::from_ne_bytes(from.take()?)),
            },
            LOGGING => Self::Logging(from.take::<1>()?[0]),
            _ => return None,
        })
    }
}

impl Launch {
    /// Writes the message for this launch and returns its length.
    pub fn encode(&self, bytes: &mut [u8; BYTES]) -> usize {
        let mut to = Cursor { bytes, at: 0 };
        to.put(&[LAUNCHED, u8::from(self.outcome)]);
        to.put(&self.ordinal.to_ne_bytes());
        to.put(&self.slot.to_ne_bytes());
        to.put(&self.number.to_ne_bytes());
        to.put(&self.worker.to_ne_bytes());
        to.put(&self.pid.to_ne_bytes());
        to.put(&self.started_ns.to_ne_bytes());
        to.put(&seconds(self.timeout).to_ne_bytes());
        to.put(&seconds(self.timeout_of_unknown).to_ne_bytes());
        to.put(&self.place.unwrap_or(NOWHERE).to_ne_bytes());
        to.put(&self.name[..self.name.len().min(NAME_BYTES)]);
        to.at
    }
}

/// Timeouts are whole seconds, never 0.
fn seconds(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |time| time.as_secs())
}

fn time(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

struct Cursor<'a> {
    bytes: &'a mut [u8; BYTES],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, part: &[u8]) {
        self.bytes[self.at..self.at + part.len()].copy_from_slice(part);
        self.at += part.len();
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let launch = Launch {
            ordinal: 7,
            slot: 3,
            number: 1,
            worker: 4711,
            pid: 4712,
            started_ns: u64::MAX,
            timeout: Some(Duration::from_secs(9)),
            timeout_of_unknown: Some(Duration::from_secs(8)),
            place: Some(511),
            outcome: true,
            name: b"/shop/cart".to_vec(),
        };
        let gone = Note::Gone { session: 5, lost: 2, timeout: None };
        for note in [Note::Launched(launch.clone()), gone, Note::Logging(3)] {
            let mut bytes = [0; BYTES];
            let length = note.encode(&mut bytes);
            assert_eq!(Note::decode(&bytes[..length]), Some(note));
        }
        let long = Note::Launched(Launch { name: vec![b'x'; 5000], ..launch });
        let mut bytes = [0; BYTES];
        assert_eq!(long.encode(&mut bytes), BYTES);
    }

    #[test]
    fn what_is_not_a_message_is_not_read() {
        for bytes in [&b""[..], b"x", b"l", b"g123", b"v"] {
            assert_eq!(Note::decode(bytes), None);
        }
    }
}
