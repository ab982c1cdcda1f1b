//! Handlers' standard error: one pipe per instance, written to the log line by line.

use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// A line that is longer than this is cut into several.
const LINE_BYTES: usize = 4096;

/// Collects lines from the pipe.
#[derive(Debug)]
pub(super) struct Collector {
    pipe: PipeReader,
    partial: Vec<u8>,
}

impl Collector {
    /// Reads from the non-blocking end of a pipe.
    pub fn new(pipe: PipeReader) -> Self {
        Self { pipe, partial: Vec::new() }
    }

    /// Logs every whole line that has come.
    pub fn collect(&mut self) {
        let mut piece = [0; LINE_BYTES];
        while let Ok(n @ 1..) = self.pipe.read(&mut piece) {
            self.partial.extend_from_slice(&piece[..n]);
            self.log_lines();
        }
    }

    fn log_lines(&mut self) {
        while let Some((length, skip)) = next_line(&self.partial) {
            tracing::warn!(stream = "stderr", "{}", String::from_utf8_lossy(&self.partial[..length]));
            self.partial.drain(..skip);
        }
    }
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
    use super::next_line;

    #[test]
    fn lines_end_at_a_newline_or_when_they_are_too_long() {
        assert_eq!(next_line(b"one\ntwo"), Some((3, 4)));
        assert_eq!(next_line(b"half"), None);
        assert_eq!(next_line(&[b'x'; 5000]), Some((4096, 4096)));
    }
}
