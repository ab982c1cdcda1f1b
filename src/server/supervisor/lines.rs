//! Lines of one standard error, cut from what comes in pieces. It knows no pipe and no log.

use std::time::{Duration, Instant};

use crate::cgi::stderr::Writer;

/// A line that is longer than this is cut into several.
const LINE_BYTES: usize = 4096;

/// How long an unfinished line is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The line that is not finished yet, and whose it is.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    writer: Option<Writer>,
    /// When it is logged as it is.
    due: Option<Instant>,
}

impl Lines {
    /// When [`end`](Self::end) is due: a line without an end is logged when for so long nothing more of it has come.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A piece has come, by `writer` if that is known. What another one has not finished is a line of its own.
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

    /// The unfinished line is one as it is.
    pub fn end(&mut self, mut log: impl FnMut(&[u8], Option<&Writer>)) {
        if !self.partial.is_empty() {
            log(&self.partial, self.writer.as_ref());
        }
        self.partial.clear();
        self.due = None;
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
