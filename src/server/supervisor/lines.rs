//! Splits one standard error into lines. It does not read the pipe or write the log.

use std::time::{Duration, Instant};

use crate::cgi::stderr::Writer;

/// A longer line is split.
const LINE_BYTES: usize = 4096;

/// How long to wait for the rest of an unfinished line.
const PATIENCE: Duration = Duration::from_secs(1);

/// The unfinished line, and the handler that wrote it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    writer: Option<Writer>,
    /// When the unfinished line is logged as it is.
    due: Option<Instant>,
}

impl Lines {
    /// When [`end`](Self::end) is due: an unfinished line is logged if nothing more of it arrives in time.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds a piece, from `writer` if known. An unfinished line of another writer is ended first.
    pub fn add(&mut self, bytes: &[u8], writer: Option<Writer>, mut log: impl FnMut(&[u8], Option<&Writer>)) {
        if writer != self.writer {
            self.end(&mut log);
            self.writer = writer;
        }
        self.partial.extend_from_slice(bytes);
        let mut start = 0;
        while let Some((length, skip)) = next_line(&self.partial[start..]) {
            log(&self.partial[start..start + length], self.writer.as_ref());
            start += skip;
        }
        self.partial.drain(..start);
        self.due = (!self.partial.is_empty()).then(|| Instant::now() + PATIENCE);
    }

    /// Logs the unfinished line as it is.
    pub fn end(&mut self, mut log: impl FnMut(&[u8], Option<&Writer>)) {
        if !self.partial.is_empty() {
            log(&self.partial, self.writer.as_ref());
        }
        self.partial.clear();
        self.due = None;
    }
}

/// Length of the first line, and how many bytes to drop with its end; `None` without a whole line.
fn next_line(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.iter().take(LINE_BYTES).position(|&byte| byte == b'\n') {
        Some(end) => Some((end, end + 1)),
        None if bytes.len() >= LINE_BYTES => Some((LINE_BYTES, LINE_BYTES)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_a_newline_or_when_they_are_too_long() {
        assert_eq!(next_line(b"one\ntwo"), Some((3, 4)));
        assert_eq!(next_line(b"half"), None);
        assert_eq!(next_line(&[b'x'; 5000]), Some((4096, 4096)));
    }

    #[test]
    fn unfinished_lines_of_two_writers_do_not_become_one() {
        let writer = |pid| Some(Writer { pid, name: b"/a".to_vec() });
        let (mut lines, mut logged) = (Lines::default(), Vec::new());
        let mut log = |line: &[u8], writer: Option<&Writer>| {
            logged.push((String::from_utf8_lossy(line).into_owned(), writer.map(|writer| writer.pid)));
        };
        lines.add(b"one\nhalf", writer(1), &mut log);
        lines.add(b" of it", writer(1), &mut log);
        assert!(lines.due().is_some());
        lines.add(b"two\n", writer(2), &mut log);
        assert!(lines.due().is_none());
        let expected = [("one", 1), ("half of it", 1), ("two", 2)];
        assert_eq!(logged, expected.map(|(line, pid)| (line.to_owned(), Some(pid))));
    }
}
