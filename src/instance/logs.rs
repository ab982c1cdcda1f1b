//! The log of an instance from outside: printing it, following it, emptying it. What stands in it is the
//! server's business.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Error, Folder};
use crate::sys::fs::open_regular;

/// How often a followed log is looked at.
const LOOK_EVERY_MS: u16 = 100;

/// Prints the whole log. A reader of the output that leaves early is no error.
///
/// # Errors
/// There is no log, or it cannot be read, or the output cannot be written.
pub fn print(folder: &Folder, out: &mut impl Write) -> Result<(), Error> {
    let mut file = open(folder)?;
    quietly(copy_rest(&mut file, out).map(drop)).map_err(Error::file("print the log", &folder.log()))
}

/// Prints the whole log, then what is added to it, until the reader of `out` leaves. It goes on with the new
/// file after a rotation, and from the start after [`reset`].
///
/// # Errors
/// Those of [`print()`].
pub fn follow(folder: &Folder, out: &mut (impl Write + AsFd)) -> Result<(), Error> {
    let file = open(folder)?;
    quietly(follow_file(file, &folder.log(), out)).map_err(Error::file("follow the log", &folder.log()))
}

/// Empties the log. Those who have it open append (`O_APPEND`), so they go on at its new end.
///
/// # Errors
/// There is no log, or it cannot be written.
pub fn reset(folder: &Folder) -> Result<(), Error> {
    let path = folder.log();
    // For reading as well: a FIFO without a reader could not be opened to see that it is one.
    open_regular(OpenOptions::new().read(true).write(true), &path, 0)
        .and_then(|file| file.set_len(0))
        .map_err(Error::file("empty the log", &path))
}

fn open(folder: &Folder) -> Result<File, Error> {
    let path = folder.log();
    open_file(&path).map_err(Error::file("read the log", &path))
}

/// A link is followed, as the server follows it: the log may be kept elsewhere.
fn open_file(path: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), path, 0)
}

fn follow_file(mut file: File, path: &Path, out: &mut (impl Write + AsFd)) -> io::Result<()> {
    let mut printed = 0;
    loop {
        // Look for a new file before reading the rest of the old: what was written up to the change is then in
        // the old one.
        let successor = successor(&file, path);
        if file.metadata()?.len() < printed {
            file.rewind()?;
            printed = 0;
        }
        printed += copy_rest(&mut file, out)?;
        out.flush()?;
        if let Some(next) = successor {
            (file, printed) = (next, 0);
        } else if reader_left(out)? {
            return Ok(());
        }
    }
}

/// The file that has taken the place of `file` at `path`, if any; a moment without one is part of a rotation.
fn successor(file: &File, path: &Path) -> Option<File> {
    let next = open_file(path).ok()?;
    let identity = |file: &File| file.metadata().map(|data| (data.dev(), data.ino())).ok();
    (identity(file)? != identity(&next)?).then_some(next)
}

/// Sleeps until the next look, or until the other end of the output is closed.
fn reader_left(out: &impl AsFd) -> io::Result<bool> {
    let mut end = [PollFd::new(out.as_fd(), PollFlags::empty())];
    match poll(&mut end, PollTimeout::from(LOOK_EVERY_MS)) {
        Err(nix::errno::Errno::EINTR) => Ok(false),
        polled => Ok(polled? > 0),
    }
}

/// Copies what is left of the file as it is now: one that grows faster than it is printed must not keep the
/// caller from its other duties.
fn copy_rest(file: &mut File, out: &mut impl Write) -> io::Result<u64> {
    let rest = file.metadata()?.len().saturating_sub(file.stream_position()?);
    io::copy(&mut file.take(rest), out)
}

fn quietly(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
