//! The log: a `tracing` subscriber that writes text or JSON lines to one file.
//!
//! The supervisor writes each line at once. A worker buffers: with a blocking accept() it cannot know whether it is
//! about to wait, and a write per request would cost more than all its other bookkeeping. The first line in an empty
//! buffer arms a timer of `FLUSH_MS`, on which the background thread flushes; a full buffer is flushed at once. So a
//! line is in the file after 20 ms at most, an idle worker never wakes up, and only `kill -9` can lose those 20 ms. The
//! worker's row in the scoreboard tells `--log` whether lines are buffered.
//!
//! One flush is one write to a file opened with O_APPEND, so lines of several processes never mix. Outside input
//! (targets, methods, a handler's stderr) is escaped: no request can forge a line.

mod line;
mod sink;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use line::Line;
use nix::sys::timer::TimerSetTimeFlags;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags};
use tracing::{Event, Level, Metadata, span};

use crate::sys::fs::open_regular;

/// Format of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, process, then `key=value`.
    Text,
    /// One JSON object per line.
    Json,
}

/// Longest time that a worker buffers a line.
const FLUSH_MS: u64 = 20;
const FLUSH_BYTES: usize = 8 * 1024;

static LOG: OnceLock<Log> = OnceLock::new();
static LEVEL: AtomicU8 = AtomicU8::new(2);
static JSON: AtomicBool = AtomicBool::new(false);
static WORKER: AtomicI64 = AtomicI64::new(line::SUPERVISOR);
static HELD: AtomicBool = AtomicBool::new(false);
/// 1 while lines are buffered.
static WAITING: OnceLock<&'static AtomicU64> = OnceLock::new();

/// The log's writer.
#[derive(Debug)]
struct Log {
    file: File,
    copy: Option<OwnedFd>,
    buffer: Mutex<Buffer>,
    flush: OnceLock<TimerFd>,
}

/// Buffered lines, and the formatted second that they belong to.
#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    /// Lost lines that the log does not mention yet.
    lost: usize,
    second: u64,
    second_text: String,
}

/// Installs the log for this process and its children, once. `copy` is a terminal, in the foreground.
///
/// # Errors
/// A log is installed already.
pub fn install(file: File, copy: Option<OwnedFd>, format: Format, level: Level) -> io::Result<()> {
    set(level, format);
    let log = Log { file, copy, buffer: Mutex::default(), flush: OnceLock::new() };
    let taken = |_| io::Error::from(io::ErrorKind::AlreadyExists);
    LOG.set(log).map_err(taken)?;
    tracing::subscriber::set_global_default(Lines).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// Opens the log at `path` for appending. Anything but a regular file is refused: a FIFO would block until it has a
/// reader.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_regular(File::options().create(true).append(true).mode(0o600), path, 0)
}

/// Replaces the log file by the one at `path`, under the same descriptor (log rotation).
///
/// # Errors
/// It cannot be opened; the old file stays in use.
pub fn reopen(path: &Path) -> io::Result<()> {
    let Some(log) = LOG.get() else { return Ok(()) };
    crate::sys::process::replace(log.file.as_fd(), open(path)?.into())
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

/// The log's descriptor, for a signal handler that reopens it.
pub fn descriptor() -> Option<BorrowedFd<'static>> {
    LOG.get().map(|log| log.file.as_fd())
}

/// Makes this process worker `number`: its lines carry the number and are buffered, and `waiting` is 1 while some are.
/// Returns the timer on whose expiry the caller calls [`flush`].
///
/// # Errors
/// Those of `timerfd_create(2)`.
pub fn become_worker(number: usize, waiting: &'static AtomicU64) -> io::Result<Option<BorrowedFd<'static>>> {
    waiting.store(0, Relaxed);
    let _ = WAITING.set(waiting);
    WORKER.store(i64::try_from(number).unwrap_or(i64::MAX), Relaxed);
    let Some(log) = LOG.get() else { return Ok(None) };
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
    Ok(Some(log.flush.get_or_init(|| timer).as_fd()))
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

/// Marks the lines of this process as the keeper's.
pub fn become_keeper() {
    WORKER.store(line::KEEPER, Relaxed);
}

/// The level and format in one byte, for [`adopt`] in a process that was forked before.
pub fn settings() -> u8 {
    LEVEL.load(Relaxed) | if JSON.load(Relaxed) { 0x80 } else { 0 }
}

/// Applies what [`settings`] returned in another process.
pub fn adopt(settings: u8) {
    LEVEL.store(settings & 0x7f, Relaxed);
    JSON.store(settings & 0x80 != 0, Relaxed);
}

/// Acknowledges the expiry of the flush timer; the next line arms it again.
pub fn disarm() {
    if let Some(timer) = LOG.get().and_then(|log| log.flush.get()) {
        let _ = timer.unset();
    }
}

/// Buffers lines until [`flush`] or a full buffer, in a process that otherwise writes each at once.
pub fn hold() {
    HELD.store(true, Relaxed);
}

/// Writes the buffered lines.
pub fn flush() {
    HELD.store(false, Relaxed);
    if let Some(log) = LOG.get() {
        log.write_out(&mut log.buffer());
    }
}

impl Log {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A full disk must not stop the server: lines that cannot be written are dropped and counted.
    fn write_out(&self, buffer: &mut Buffer) {
        let before = buffer.lost;
        if before > 0 {
            self.say_lost(buffer);
        }
        let lost = sink::append(&self.file, &buffer.lines);
        let nothing = lost > 0 && lost == buffer.lines.iter().filter(|&&byte| byte == b'\n').count();
        buffer.lost = match before {
            0 => lost,
            // The first line tells how many are missing.
            _ if nothing => before + lost - 1,
            _ => lost,
        };
        if let Some(waiting) = WAITING.get() {
            waiting.store(0, Relaxed);
        }
        if let Some(copy) = &self.copy {
            let _ = nix::unistd::write(copy, &buffer.lines);
        }
        buffer.lines.clear();
    }

    /// Inserts a line that tells how many lines are missing.
    fn say_lost(&self, buffer: &mut Buffer) {
        let lines = std::mem::take(&mut buffer.lines);
        let message = format!("{} lines are missing here; they could not be written", buffer.lost);
        self.line(buffer, Level::WARN, |out| out.message(&message));
        buffer.lines.extend_from_slice(&lines);
    }

    fn event(&self, event: &Event<'_>) {
        let mut buffer = self.buffer();
        let was_empty = buffer.lines.is_empty();
        self.line(&mut buffer, *event.metadata().level(), |out| event.record(out));
        match self.flush.get() {
            Some(_) if buffer.lines.len() >= FLUSH_BYTES => self.write_out(&mut buffer),
            Some(timer) if was_empty => {
                if let Some(waiting) = WAITING.get() {
                    waiting.store(1, Relaxed);
                }
                let _ = timer.set(
                    Expiration::OneShot(Duration::from_millis(FLUSH_MS).into()),
                    TimerSetTimeFlags::empty(),
                );
            }
            Some(_) => {}
            None if HELD.load(Relaxed) && buffer.lines.len() < FLUSH_BYTES => {}
            None => self.write_out(&mut buffer),
        }
    }

    fn line(&self, buffer: &mut Buffer, level: Level, record: impl FnOnce(&mut Line<'_>)) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if buffer.second != since_epoch.as_secs() || buffer.second_text.is_empty() {
            buffer.second = since_epoch.as_secs();
            buffer.second_text = second_text(since_epoch.as_secs());
        }
        let Buffer { lines, second_text, .. } = buffer;
        let worker = WORKER.load(Relaxed);
        let mut out = Line { bytes: lines, json: JSON.load(Relaxed), worker };
        out.begin(second_text, since_epoch.subsec_millis(), level);
        record(&mut out);
        out.end();
    }
}

/// `2026-11-23T01:02:03` in UTC.
fn second_text(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0)).unwrap_or_default();
    time.to_string().trim_end_matches('Z').to_owned()
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_second_is_written_in_utc() {
        assert_eq!(super::second_text(1_700_000_000), "2023-11-14T22:13:20");
    }
}
