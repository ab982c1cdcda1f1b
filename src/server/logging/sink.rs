//! Writes whole lines or none. A full disk or a limit on the file's size can cut a write in the middle of a line, where
//! the next write of any process would continue; so the torn part is removed.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Appends `lines`. Returns how many of them could not be written.
pub(super) fn append(mut file: &File, lines: &[u8]) -> usize {
    let mut done = 0;
    while done < lines.len() {
        match file.write(&lines[done..]) {
            Ok(n @ 1..) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let whole = lines[..done].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if whole < done && take_back(file, &lines[whole..done]).is_err() {
        let _ = file.write(b"\n"); // at least the next line is one
    }
    lines[whole..].iter().filter(|&&byte| byte == b'\n').count()
}

/// Removes `torn` from the end of the file, unless another process has written since.
fn take_back(file: &File, torn: &[u8]) -> io::Result<()> {
    let own = File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let start = own.metadata()?.len().checked_sub(torn.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
    let mut end = vec![0; torn.len()];
    own.read_exact_at(&mut end, start)?;
    if end == torn { file.set_len(start) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, File, impl Fn() -> String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let file = File::options().create(true).append(true).open(&path).unwrap();
        (directory, file, move || std::fs::read_to_string(&path).unwrap())
    }

    #[test]
    fn what_is_there_of_a_line_is_taken_back() {
        let (_directory, file, text) = log();
        (&file).write_all(b"one\ntwo\nthr").unwrap();
        take_back(&file, b"thr").unwrap();
        assert_eq!(text(), "one\ntwo\n");
    }

    #[test]
    fn nothing_of_another_process_is_taken_back() {
        let (_directory, file, text) = log();
        append(&file, b"one\nthranother\n");
        assert!(take_back(&file, b"thr").is_err());
        assert_eq!(text(), "one\nthranother\n");
    }

    #[test]
    fn lines_that_find_no_room_are_counted() {
        let full = File::options().append(true).open("/dev/full").unwrap();
        assert_eq!(append(&full, b"one\ntwo\n"), 2);
    }
}
