//! Prints, follows and empties the log files of an instance. The server writes them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Error;
use crate::sys::fs::open_regular;

/// Polling interval of a followed log.
const LOOK_EVERY_MS: u16 = 20;
/// A replaced file is still read for this long.
const CHANGE: Duration = Duration::from_secs(1);
/// Length of the beginning that identifies a file's contents.
const HEAD_BYTES: usize = 128;
/// Before a log is emptied, it must be quiet for this long, so that followers have read everything...
const QUIET: Duration = Duration::from_millis(60);
/// ...or for at most this long.
const BUSY: Duration = Duration::from_millis(500);

/// Prints the whole log. A reader that closes the output early is not an error.
///
/// # Errors
/// There is no log, or it cannot be read, or the output cannot be written.
pub fn print(log: &Path, out: &mut impl Write) -> Result<(), Error> {
    let mut file = open(log)?;
    quietly(copy_rest(&mut file, out).map(drop)).map_err(Error::file("print the log", log))
}

/// Prints the whole log, then what is appended, until the reader of `out` closes it. It continues with the new file
/// after a rotation, and from the start after [`reset`].
///
/// # Errors
/// Those of [`print()`].
pub fn follow(log: &Path, out: &mut (impl Write + AsFd)) -> Result<(), Error> {
    let file = open(log)?;
    quietly(follow_file(file, log, out)).map_err(Error::file("follow the log", log))
}

/// Empties the log. Writers append (`O_APPEND`), so they continue at its new end.
///
/// # Errors
/// There is no log, or it cannot be written.
pub fn reset(log: &Path) -> Result<(), Error> {
    // For reading as well: a FIFO without a reader could not be opened to see that it is one.
    open_regular(OpenOptions::new().read(true).write(true), log, 0)
        .and_then(|file| {
            wait_until_quiet(&file)?;
            file.set_len(0)
        })
        .map_err(Error::file("empty the log", log))
}

fn wait_until_quiet(file: &File) -> io::Result<()> {
    let end = Instant::now() + BUSY;
    let mut len = file.metadata()?.len();
    while len > 0 && Instant::now() < end {
        std::thread::sleep(QUIET);
        let now = file.metadata()?.len();
        if std::mem::replace(&mut len, now) == now {
            break;
        }
    }
    Ok(())
}

fn open(log: &Path) -> Result<File, Error> {
    open_file(log).map_err(Error::file("read the log", log))
}

/// Links are followed, as the server does: the log may be kept elsewhere.
fn open_file(path: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), path, 0)
}

fn follow_file(file: File, path: &Path, out: &mut (impl Write + AsFd)) -> io::Result<()> {
    let mut tail = Tail::new(file);
    // Reads what is still written to a replaced file: writers notice a rotation at different times.
    let mut previous: Option<(Tail, Instant)> = None;
    loop {
        // Look for a new file before reading the rest of the old: what was written up to the change is then in
        // the old one.
        let successor = successor(&tail.file, path);
        tail.print(out)?;
        if let Some((old, until)) = &mut previous {
            old.print(out)?;
            if Instant::now() >= *until {
                previous = None;
            }
        }
        out.flush()?;
        if let Some(next) = successor {
            previous = Some((std::mem::replace(&mut tail, Tail::new(next)), Instant::now() + CHANGE));
        } else if reader_left(out)? {
            return Ok(());
        }
    }
}

/// A file that is printed as it grows.
struct Tail {
    file: File,
    printed: u64,
    /// The beginning of what was printed: if it changes, the file was emptied and has grown again.
    head: Vec<u8>,
}

impl Tail {
    fn new(file: File) -> Self {
        Self { file, printed: 0, head: Vec::new() }
    }

    /// Prints what is new; all of it, if the file was emptied.
    fn print(&mut self, out: &mut impl Write) -> io::Result<()> {
        let head = beginning(&self.file)?;
        if self.file.metadata()?.len() < self.printed || !head.starts_with(&self.head) {
            self.file.rewind()?;
            self.printed = 0;
        }
        self.printed += copy_rest(&mut self.file, out)?;
        self.head = head;
        let known = usize::try_from(self.printed).unwrap_or(usize::MAX);
        self.head.truncate(known);
        Ok(())
    }
}

/// The first bytes of a file: time and process of its first line.
fn beginning(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let n = file.read_at(&mut head, 0)?;
    head.truncate(n);
    Ok(head)
}

/// The file that has taken the place of `file` at `path`, if any; a moment without one is part of a rotation.
fn successor(file: &File, path: &Path) -> Option<File> {
    let next = open_file(path).ok()?;
    let identity = |file: &File| file.metadata().map(|data| (data.dev(), data.ino())).ok();
    (identity(file)? != identity(&next)?).then_some(next)
}

/// Sleeps until the next poll, or until the reader closes the output.
fn reader_left(out: &impl AsFd) -> io::Result<bool> {
    let mut end = [PollFd::new(out.as_fd(), PollFlags::empty())];
    match poll(&mut end, PollTimeout::from(LOOK_EVERY_MS)) {
        Err(nix::errno::Errno::EINTR) => Ok(false),
        polled => Ok(polled? > 0),
    }
}

/// Copies the rest of the file as it is now: one that grows faster than it is printed must not block the caller.
fn copy_rest(file: &mut File, out: &mut impl Write) -> io::Result<u64> {
    let rest = file.metadata()?.len().saturating_sub(file.stream_position()?);
    io::copy(&mut file.take(rest), out)
}

fn quietly(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
