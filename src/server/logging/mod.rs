//! The log: a `tracing` subscriber that writes text or JSON lines to one file.
//!
//! The supervisor writes each line at once. Workers and the keeper buffer: with a blocking accept() a worker cannot know
//! whether it is about to wait, and a write per request would cost more than all its other bookkeeping. The first line that
//! waits starts a timer of 20 ms (`flush_timer.rs`), on whose expiry the process flushes; a full buffer is written at once. So a
//! line is in the file after 20 ms, and an idle process never wakes up. What a process has buffered is lost if it is killed
//! or crashes. The row in the scoreboard tells `--log` whether lines are buffered.
//!
//! One flush is one write to a file opened with O_APPEND, so lines of several processes never mix. Outside input
//! (targets, methods, a handler's stderr) is escaped: no request can forge a line.
//!
//! `--log-size` bounds the files (`rotate.rs`). `--log-to` says where the lines go: to the file, to standard error ([`Stderr`]), or to both. The access log is another
//! file with rules of its own ([`access`]), flushed by the same timer.

pub mod access;
mod asked;
mod clock;
mod escape;
mod flush_timer;
mod line;
mod log_to;
mod rotate;
mod sink;
mod stderr;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub use asked::Asked;
use clock::Clock;
use flush_timer::FlushTimer;
use line::Line;
pub use line::NUMBERS;
pub use log_to::LogTo;
pub use rotate::{limit_size, older};
pub use stderr::Stderr;
use tracing::{Event, Level, Metadata, span};

use crate::sys::fs::open_regular;
use crate::sys::signal;

/// Format of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, process, then `key=value`.
    Text,
    /// One JSON object per line.
    Json,
}

const FLUSH_BYTES: usize = 8 * 1024;

static LOG: OnceLock<Log> = OnceLock::new();
static LEVEL: AtomicU8 = AtomicU8::new(2);
static JSON: AtomicBool = AtomicBool::new(false);
static WORKER: AtomicI64 = AtomicI64::new(line::SUPERVISOR);
static HELD: AtomicBool = AtomicBool::new(false);
/// The timer for buffered lines, in a process that buffers.
static FLUSH: OnceLock<FlushTimer> = OnceLock::new();

/// Where the lines go. A place that is missing gets none.
#[derive(Debug, Default)]
pub struct Places {
    /// The file with its path.
    pub file: Option<(File, PathBuf)>,
    pub stderr: Option<Stderr>,
}

/// The log's writer.
#[derive(Debug)]
struct Log {
    places: Places,
    buffer: Mutex<Buffer>,
}

/// Buffered lines.
#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    /// Lost lines that the file and standard error do not mention yet.
    lost: [usize; 2],
    clock: Clock,
}

/// Installs the log for this process and its children, once.
///
/// # Errors
/// A log is installed already.
pub fn install(places: Places, format: Format, level: Level) -> io::Result<()> {
    set(level, format);
    let taken = |_| io::Error::from(io::ErrorKind::AlreadyExists);
    LOG.set(Log { places, buffer: Mutex::default() }).map_err(taken)?;
    tracing::subscriber::set_global_default(Lines).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// Opens a log at `path` for appending. Anything but a regular file is refused: a FIFO would block until it has a
/// reader.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_regular(File::options().create(true).append(true).mode(0o600), path, 0)
}

/// The open log files with their paths.
fn files() -> impl Iterator<Item = (BorrowedFd<'static>, &'static Path)> {
    let log = LOG.get().and_then(|log| log.places.file.as_ref());
    let log = log.map(|(file, path)| (file.as_fd(), path.as_path()));
    log.into_iter().chain(access::descriptor().zip(access::path()))
}

/// Opens the log files again at their paths, under the same descriptors (log rotation). Returns those that cannot be
/// opened; for these the old file stays in use.
pub fn reopen() -> Vec<(&'static Path, io::Error)> {
    let again = |fd: BorrowedFd<'_>, path: &Path| crate::sys::process::replace(fd, open(path)?.into());
    files().filter_map(|(fd, path)| again(fd, path).err().map(|error| (path, error))).collect()
}

/// Sets up the signals of a process that the supervisor has forked: SIGUSR1 opens the log files again.
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn install_signals() -> io::Result<()> {
    files().for_each(|(fd, path)| signal::reopens(fd, path));
    signal::install_worker()
}

/// Changes the log level and format of this process and its future children.
pub fn set(level: Level, format: Format) {
    LEVEL.store(rank(level), Relaxed);
    JSON.store(format == Format::Json, Relaxed);
}

fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

/// Makes this process worker `number`. From now on its lines are buffered, and `waiting` is not 0 while some are. Returns the
/// timer on whose expiry the caller calls [`disarm`] and [`flush`].
///
/// # Errors
/// Those of `timerfd_create(2)`.
pub fn become_worker(number: usize, waiting: &'static AtomicU64) -> io::Result<BorrowedFd<'static>> {
    WORKER.store(i64::try_from(number).unwrap_or(i64::MAX), Relaxed);
    buffer(waiting)
}

/// Makes this process the keeper. Its lines are buffered as those of [a worker](become_worker).
///
/// # Errors
/// Those of `timerfd_create(2)`.
pub fn become_keeper(waiting: &'static AtomicU64) -> io::Result<BorrowedFd<'static>> {
    WORKER.store(line::KEEPER, Relaxed);
    buffer(waiting)
}

/// Starts to buffer lines, and returns the timer that says when to write them.
fn buffer(waiting: &'static AtomicU64) -> io::Result<BorrowedFd<'static>> {
    let timer = FlushTimer::new(waiting)?;
    Ok(FLUSH.get_or_init(|| timer).as_fd())
}

/// Marks the lines of this process as an auxiliary process's. They are not buffered, because they are few.
pub fn become_auxiliary() {
    WORKER.store(line::AUXILIARY, Relaxed);
}

/// Logs the lines of `work` as worker `number`'s, or with `None` as an auxiliary process's. For a single-threaded
/// process.
pub fn on_behalf_of(number: Option<usize>, work: impl FnOnce()) {
    let speaker = number.map_or(line::AUXILIARY, |number| i64::try_from(number).unwrap_or(i64::MAX));
    let own = WORKER.swap(speaker, Relaxed);
    work();
    WORKER.store(own, Relaxed);
}

/// The level and the formats in one byte, for [`adopt`] in a process that was forked before.
pub fn settings() -> u8 {
    let json = if JSON.load(Relaxed) { 0x80 } else { 0 };
    LEVEL.load(Relaxed) | (access::form() as u8) << 4 | json
}

/// Applies what [`settings`] returned in another process.
pub fn adopt(settings: u8) {
    LEVEL.store(settings & 0x0f, Relaxed);
    JSON.store(settings & 0x80 != 0, Relaxed);
    let adopted = access::Form::numbered(settings >> 4 & 7).map_or(Ok(()), access::set);
    if let Err(error) = adopted {
        tracing::error!("cannot open the access log: {error}");
    }
    files().for_each(|(fd, path)| signal::reopens(fd, path));
}

/// Acknowledges the expiry of the flush timer, before a [`flush`].
pub fn disarm() {
    FLUSH.get().inspect(|timer| timer.stop());
}

/// Buffers lines until [`flush`] or a full buffer, in a process that otherwise writes each at once.
pub fn hold() {
    HELD.store(true, Relaxed);
}

/// Writes the buffered lines.
pub fn flush() {
    HELD.store(false, Relaxed);
    let begun = FLUSH.get().map(|timer| (timer, timer.begin()));
    access::flush(); // first, because it may have something to log
    if let Some(log) = LOG.get() {
        let mut buffer = log.buffer();
        if !buffer.lines.is_empty() {
            log.write_out(&mut buffer);
        }
    }
    begun.inspect(|(timer, mark)| timer.written(*mark));
}

/// Whether to write a buffer of this many bytes at once. If not, a process that buffers will [`flush`] soon.
fn must_write(bytes: usize) -> bool {
    bytes >= FLUSH_BYTES || FLUSH.get().map_or_else(|| !HELD.load(Relaxed), |timer| !timer.line_waits())
}

impl Log {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A full disk or a slow reader must not stop the server: lines that cannot be written are dropped and counted, for
    /// each place.
    fn write_out(&self, buffer: &mut Buffer) {
        let mut lines = std::mem::take(&mut buffer.lines);
        if !lines.is_empty() {
            if let Some((file, path)) = &self.places.file {
                if let Err(error) = rotate::if_full(file, path) {
                    let message =
                        format!("the log was full and could not be renamed, so it was emptied: {error}");
                    buffer.line(Level::WARN, |out| out.message(&message));
                    lines = [std::mem::take(&mut buffer.lines), lines].concat();
                }
                buffer.put(0, &lines, |text| sink::append(file, text));
            }
            if let Some(stderr) = &self.places.stderr {
                buffer.put(1, &lines, |text| stderr.append(text));
            }
        }
        lines.clear();
        buffer.lines = lines;
    }

    fn event(&self, event: &Event<'_>) {
        let mut buffer = self.buffer();
        buffer.line(*event.metadata().level(), |out| event.record(out));
        if must_write(buffer.lines.len()) {
            self.write_out(&mut buffer);
        }
    }
}

impl Buffer {
    fn line(&mut self, level: Level, record: impl FnOnce(&mut Line<'_>)) {
        let millis = self.clock.tick();
        let worker = WORKER.load(Relaxed);
        let mut out = Line { bytes: &mut self.lines, json: JSON.load(Relaxed), worker };
        out.begin(self.clock.iso(), millis, level);
        record(&mut out);
        out.end();
    }

    /// Writes lines to a place with `append`, which returns how many found no room. If earlier ones did not, a line that
    /// says so comes first.
    fn put(&mut self, place: usize, lines: &[u8], append: impl Fn(&[u8]) -> usize) {
        let before = self.lost[place];
        let mut text = Cow::Borrowed(lines);
        if before > 0 {
            let message = format!("{before} lines are missing here; they could not be written");
            self.line(Level::WARN, |out| out.message(&message));
            let mut whole = std::mem::take(&mut self.lines);
            whole.extend_from_slice(lines);
            text = Cow::Owned(whole);
        }
        let lost = append(&text);
        let nothing = lost > 0 && lost == text.iter().filter(|&&byte| byte == b'\n').count();
        self.lost[place] = match before {
            0 => lost,
            // The first line tells how many are missing.
            _ if nothing => before + lost - 1,
            _ => lost,
        };
    }
}

/// Every event goes to [`LOG`]; spans are not used.
struct Lines;

impl tracing::Subscriber for Lines {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes() // the level changes with a reload
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        rank(*metadata.level()) <= LEVEL.load(Relaxed)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        if let Some(log) = LOG.get() {
            log.event(event);
        }
    }
}
