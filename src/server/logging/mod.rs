//! The log: every line of an instance, as a `tracing` subscriber that writes text or JSON lines to one file.
//!
//! The supervisor writes each line at once. A worker buffers: with a blocking accept() it cannot know whether it is about
//! to wait, and a write per request would cost more than all its other bookkeeping. The first line into an empty
//! buffer arms a timer of `FLUSH_MS`, on which the worker's second thread flushes; a full buffer is flushed at once. So a line
//! is in the file 20 ms later at the latest, an idle worker wakes up for nothing, and only `kill -9` can lose those 20 ms.
//! Whether lines wait stands in the worker's row of the scoreboard, for `--log`, which waits for them.
//!
//! One flush is one write to a file opened with O_APPEND, so that lines of several processes never mix. What came from
//! outside (targets, methods, a handler's stderr) is escaped: no request can forge a line.

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

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: time, level, process, then `key=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Longest time that a worker's line waits for company.
const FLUSH_MS: u64 = 20;
/// A buffer of this size is flushed at once.
const FLUSH_BYTES: usize = 8 * 1024;

static LOG: OnceLock<Log> = OnceLock::new();
static LEVEL: AtomicU8 = AtomicU8::new(2);
static JSON: AtomicBool = AtomicBool::new(false);
static WORKER: AtomicI64 = AtomicI64::new(line::SUPERVISOR);
static HELD: AtomicBool = AtomicBool::new(false);
/// 1 while lines wait.
static WAITING: OnceLock<&'static AtomicU64> = OnceLock::new();

/// Where the lines go.
#[derive(Debug)]
struct Log {
    file: File,
    /// A terminal that gets a copy.
    copy: Option<OwnedFd>,
    buffer: Mutex<Buffer>,
    flush: OnceLock<TimerFd>,
}

/// Lines that are not yet written, and the text of the second they belong to.
#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    /// Lines that could not be written, and of which the log does not know yet.
    lost: usize,
    second: u64,
    second_text: String,
}

/// Opens the log for this process and its children, once. `copy` is a terminal for the foreground.
///
/// # Errors
/// There is a log already.
pub fn install(file: File, copy: Option<OwnedFd>, format: Format, level: Level) -> io::Result<()> {
    set(level, format);
    let log = Log { file, copy, buffer: Mutex::default(), flush: OnceLock::new() };
    let taken = |_| io::Error::from(io::ErrorKind::AlreadyExists);
    LOG.set(log).map_err(taken)?;
    tracing::subscriber::set_global_default(Lines).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// Opens the log at `path` to append to it. Anything but a regular file is refused: a FIFO would wait for its reader, and the
/// server with it.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_regular(File::options().create(true).append(true).mode(0o600), path, 0)
}

/// Opens the file at `path` in place of the present one, under the same descriptor (log rotation).
///
/// # Errors
/// It cannot be opened; the present one stays.
pub fn reopen(path: &Path) -> io::Result<()> {
    let Some(log) = LOG.get() else { return Ok(()) };
    crate::sys::process::replace(log.file.as_fd(), open(path)?.into())
}

/// Changes the least level that is logged, and the form of the lines, for this process and those that it forks.
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

/// The descriptor under which the log is open, for a signal handler that reopens it.
pub fn descriptor() -> Option<BorrowedFd<'static>> {
    LOG.get().map(|log| log.file.as_fd())
}

/// From now on this process is worker `number`: its lines carry the number, and are buffered; `waiting` is 1 while some are.
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

/// From now on this process serves the strategy beside the workers, and its lines say so. Each is written at once: it has
/// little to say.
pub fn become_auxiliary() {
    WORKER.store(line::AUXILIARY, Relaxed);
}

/// Lines that `work` logs are another process's: worker `number`'s, or, with `None`, that of a process which serves the strategy.
/// For a process without threads.
pub fn on_behalf_of(number: Option<usize>, work: impl FnOnce()) {
    let speaker = number.map_or(line::AUXILIARY, |number| i64::try_from(number).unwrap_or(i64::MAX));
    let own = WORKER.swap(speaker, Relaxed);
    work();
    WORKER.store(own, Relaxed);
}

/// From now on this process watches handlers, and its lines say so.
pub fn become_keeper() {
    WORKER.store(line::KEEPER, Relaxed);
}

/// What [`set`] has set, in one byte, for a process that was forked before.
pub fn settings() -> u8 {
    LEVEL.load(Relaxed) | if JSON.load(Relaxed) { 0x80 } else { 0 }
}

/// Sets what [`settings`] returned in another process.
pub fn adopt(settings: u8) {
    LEVEL.store(settings & 0x7f, Relaxed);
    JSON.store(settings & 0x80 != 0, Relaxed);
}

/// Takes note that the flush timer has expired: until the next line arms it, it stays quiet.
pub fn disarm() {
    if let Some(timer) = LOG.get().and_then(|log| log.flush.get()) {
        let _ = timer.unset();
    }
}

/// Lets lines gather until [`flush`] or a full buffer, in a process that otherwise writes each at once.
pub fn hold() {
    HELD.store(true, Relaxed);
}

/// Writes what is buffered.
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

    /// A full disk must not stop the service: what cannot be written is dropped, and counted.
    fn write_out(&self, buffer: &mut Buffer) {
        let before = buffer.lost;
        if before > 0 {
            self.say_lost(buffer);
        }
        let lost = sink::append(&self.file, &buffer.lines);
        let nothing = lost > 0 && lost == buffer.lines.iter().filter(|&&byte| byte == b'\n').count();
        buffer.lost = match before {
            0 => lost,
            // The first line says how many are missing.
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

    /// Puts in front of the lines how many are missing before them.
    fn say_lost(&self, buffer: &mut Buffer) {
        let lines = std::mem::take(&mut buffer.lines);
        let message = format!("{} lines are missing here: they could not be written", buffer.lost);
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

/// The subscriber: every event goes to [`LOG`]; spans are not used.
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
