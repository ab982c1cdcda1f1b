//! Handlers' standard error: one pipe per instance, written to the log line by line.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::server::logging;

/// A line that is longer than this is cut into several.
const LINE_BYTES: usize = 4096;
/// One read.
const READ_BYTES: usize = 16 * 1024;
/// Reads in a row before signals and workers are looked at again.
const READS_PER_TURN: usize = 8;
/// A line without an end is logged when so long nothing more of it has come.
const PATIENCE: Duration = Duration::from_secs(1);

/// Collects lines from the pipe.
#[derive(Debug)]
pub(super) struct Collector<R = PipeReader> {
    pipe: R,
    partial: Vec<u8>,
    /// When the unfinished line is logged as it is.
    due: Option<Instant>,
}

impl<R: Read> Collector<R> {
    /// Reads from the non-blocking end of a pipe.
    pub fn new(pipe: R) -> Self {
        Self { pipe, partial: Vec::new(), due: None }
    }

    /// When [`collect`](Self::collect) has something to do although nothing comes.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Logs every whole line that has come, and one that nobody finishes. Reads a bounded amount: a handler that never stops
    /// writing must not keep the supervisor from its signals.
    pub fn collect(&mut self) {
        let mut piece = [0; READ_BYTES];
        logging::hold();
        for _ in 0..READS_PER_TURN {
            let Ok(n @ 1..) = self.pipe.read(&mut piece) else { break };
            self.partial.extend_from_slice(&piece[..n]);
            self.log_lines();
            self.due = (!self.partial.is_empty()).then(|| Instant::now() + PATIENCE);
        }
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.log_rest();
        }
        logging::flush();
    }

    /// Logs what has come, as the last of all.
    pub fn finish(&mut self) {
        self.collect();
        if !self.partial.is_empty() {
            self.log_rest();
        }
    }

    fn log_rest(&mut self) {
        log(&self.partial);
        self.partial.clear();
        self.due = None;
    }

    fn log_lines(&mut self) {
        let mut start = 0;
        while let Some((length, skip)) = next_line(&self.partial[start..]) {
            log(&self.partial[start..start + length]);
            start += skip;
        }
        self.partial.drain(..start);
    }
}

/// The mark stands before the text, which could contain one itself.
fn log(line: &[u8]) {
    tracing::warn!(stream = "stderr", message = %String::from_utf8_lossy(line));
}

/// Length of the first line, and how much to drop with its end; `None` when there is no whole one.
fn next_line(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.iter().take(LINE_BYTES).position(|&byte| byte == b'\n') {
        Some(end) => Some((end, end + 1)),
        None if bytes.len() >= LINE_BYTES => Some((LINE_BYTES, LINE_BYTES)),
        None => None,
    }
}

impl AsFd for Collector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handler that never stops writing.
    struct Flood {
        reads: usize,
    }

    impl Read for Flood {
        fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
            self.reads += 1;
            assert!(self.reads < 1000, "collecting does not end");
            piece.fill(b'\n');
            Ok(piece.len())
        }
    }

    #[test]
    fn a_flood_is_collected_in_turns() {
        let mut collector = Collector::new(Flood { reads: 0 });
        collector.collect();
        assert_eq!(collector.pipe.reads, READS_PER_TURN);
        collector.collect();
        assert_eq!(collector.pipe.reads, 2 * READS_PER_TURN);
    }

    #[test]
    fn lines_end_at_a_newline_or_when_they_are_too_long() {
        assert_eq!(next_line(b"one\ntwo"), Some((3, 4)));
        assert_eq!(next_line(b"half"), None);
        assert_eq!(next_line(&[b'x'; 5000]), Some((4096, 4096)));
    }
}
