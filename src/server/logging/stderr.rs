//! Standard error as a place for log lines: a terminal, a container's pipe, the journal's socket, a file. It may be slow,
//! full or closed, and never blocks the server: lines that it does not take at once are dropped and counted.
//!
//! A terminal or a pipe is opened again, because O_NONBLOCK set on what we inherited would also change it for others.
//! A container's pipe may belong to another user, and then cannot be opened again: it is polled before each write.
//!
//! A pipe takes up to PIPE_BUF bytes whole, so lines are passed on in pieces of whole lines of at most that size, and lines
//! of several workers do not mix. A longer line may.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

/// `PIPE_BUF` of Linux.
const PIECE_BYTES: usize = 4096;
/// `makedev(1, 3)`: /dev/null.
const NULL: u64 = 0x103;

#[derive(Debug)]
pub struct Stderr {
    fd: OwnedFd,
    way: Way,
    /// Whether the journal reads it: then each line begins with its priority, as sd-daemon(3) has it.
    journal: bool,
}

/// How to write without blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It does not block, or is a file.
    Write,
    /// It may block, unless poll(2) says that there is room.
    Poll,
    /// It is a socket.
    Send,
}

impl Stderr {
    /// This process's standard error; `None` if it is closed or /dev/null. `journal` is `$JOURNAL_STREAM`: device and
    /// inode of the journal's socket.
    pub fn open(journal: Option<&str>) -> Option<Self> {
        let inherited = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let found = inherited.metadata().ok()?;
        let kind = found.file_type();
        if kind.is_char_device() && found.rdev() == NULL {
            return None;
        }
        let journal = journal == Some(&*format!("{}:{}", found.dev(), found.ino()));
        if kind.is_socket() {
            return Some(Self { fd: inherited.into(), way: Way::Send, journal });
        }
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
        let again = || OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2");
        let (fd, way) = match kind.is_file() {
            true => (inherited, Way::Write),
            false => again().map_or((inherited, Way::Poll), |fd| (fd, Way::Write)),
        };
        Some(Self { fd: fd.into(), way, journal })
    }

    /// Passes on whole lines. Returns how many of them were not taken.
    pub(super) fn append(&self, lines: &[u8]) -> usize {
        let mut lost = 0;
        let (mut piece, mut count) = (Vec::new(), 0);
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            if !piece.is_empty() && piece.len() + line.len() + 3 > PIECE_BYTES {
                lost += self.pass_on(&piece, std::mem::take(&mut count));
                piece.clear();
            }
            if self.journal {
                piece.extend([b'<', priority(line), b'>']);
            }
            piece.extend_from_slice(line);
            count += 1;
        }
        lost + self.pass_on(&piece, count)
    }

    /// Returns `count` if the piece was not taken whole.
    fn pass_on(&self, piece: &[u8], count: usize) -> usize {
        match self.write(piece) {
            Ok(written) if written == piece.len() => 0,
            Ok(_) => {
                let _ = self.write(b"\n"); // at least the next line is one
                count
            }
            Err(_) => count,
        }
    }

    fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        match self.way {
            Way::Send => send(self.fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
            Way::Poll if !self.has_room() => Err(nix::Error::EAGAIN),
            Way::Write | Way::Poll => nix::unistd::write(&self.fd, bytes),
        }
    }

    fn has_room(&self) -> bool {
        let mut ready = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }
}

/// The syslog priority of a line, by the place of its level in either format.
fn priority(line: &[u8]) -> u8 {
    let at =
        if line.starts_with(b"{") { r#"{"time":"2026-11-23T01:02:03.045Z","level":""#.len() } else { 25 };
    match line.get(at) {
        Some(b'E') => b'3',
        Some(b'W') => b'4',
        Some(b'D') => b'7',
        _ => b'6',
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read as _};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sys::net::set_nonblocking;

    const LINE: &[u8] = b"2026-11-23T01:02:03.045Z WARN  supervisor: a line\n";

    fn of(fd: impl Into<OwnedFd>, way: Way) -> Stderr {
        Stderr { fd: fd.into(), way, journal: false }
    }

    /// A pipe that blocks, and one that does not.
    fn pipes() -> [(PipeReader, Stderr); 2] {
        [Way::Poll, Way::Write].map(|way| {
            let (reader, writer) = io::pipe().unwrap();
            set_nonblocking(writer.as_fd(), way == Way::Write).unwrap();
            (reader, of(writer, way))
        })
    }

    #[test]
    fn a_full_pipe_takes_whole_lines_and_never_blocks() {
        for (mut reader, stderr) in pipes() {
            let many = LINE.repeat(100);
            let lost: usize = (0..100).map(|_| stderr.append(&many)).sum();
            assert!(lost > 0, "a pipe takes 64 KiB");
            drop(stderr);
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            assert_eq!(text.len(), LINE.len() * (10_000 - lost), "the rest arrived whole");
            assert!(text.chunks(LINE.len()).all(|line| line == LINE));
        }
    }

    #[test]
    fn a_full_socket_takes_whole_lines_and_never_blocks() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let stderr = of(writer, Way::Send);
        let lost: usize = (0..1000).map(|_| stderr.append(&LINE.repeat(100))).sum();
        assert!(lost > 0);
        drop(stderr);
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), LINE.len() * (100_000 - lost));
    }

    #[test]
    fn a_closed_reader_or_a_full_disk_loses_lines_only() {
        for (reader, stderr) in pipes() {
            drop(reader);
            assert_eq!(stderr.append(&LINE.repeat(3)), 3);
        }
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        assert_eq!(of(writer, Way::Send).append(LINE), 1);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(of(full, Way::Write).append(&LINE.repeat(2)), 2);
    }

    #[test]
    fn the_journal_gets_the_priority_of_each_line() {
        for (line, expected) in [
            (LINE, b'4'),
            (b"2026-11-23T01:02:03.045Z ERROR worker 1: x\n", b'3'),
            (b"{\"time\":\"2026-11-23T01:02:03.045Z\",\"level\":\"DEBUG\"}\n", b'7'),
            (b"{\"time\":\"2026-11-23T01:02:03.045Z\",\"level\":\"INFO\"}\n", b'6'),
            (b"\n", b'6'),
        ] {
            assert_eq!(priority(line), expected);
        }
        let (mut reader, writer) = io::pipe().unwrap();
        let stderr = Stderr { journal: true, ..of(writer, Way::Write) };
        assert_eq!(stderr.append(&LINE.repeat(2)), 0);
        drop(stderr);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.matches("<4>2026").count(), 2, "{text}");
    }
}
