//! A request body on its way to a handler's standard input: a sealed memory file, or an unlinked file on disk when large.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A body up to this size stays in memory.
const IN_MEMORY_BYTES: u64 = 1 << 20;

/// Takes the pieces of a body as they arrive.
#[derive(Debug)]
pub struct Spool {
    file: File,
    len: u64,
    on_disk: bool,
}

impl Spool {
    /// An empty one, in memory.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`.
    pub fn new() -> io::Result<Self> {
        let file = memfd_create(c"body", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?.into();
        Ok(Self { file, len: 0, on_disk: false })
    }

    /// Appends a piece. What grows beyond 1 MiB moves to an unlinked file in `directory`.
    ///
    /// # Errors
    /// `StorageFull` and others of writing.
    pub fn write(&mut self, piece: &[u8], directory: &Path) -> io::Result<()> {
        if !self.on_disk && self.len + piece.len() as u64 > IN_MEMORY_BYTES {
            self.move_to_disk(directory)?;
        }
        // At an offset, so that the handler finds the file's position at its start.
        self.file.write_all_at(piece, self.len)?;
        self.len += piece.len() as u64;
        Ok(())
    }

    fn move_to_disk(&mut self, directory: &Path) -> io::Result<()> {
        let disk = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
            .mode(0o600)
            .open(directory)?;
        let mut start = vec![0; usize::try_from(self.len).unwrap_or(0)];
        self.file.read_exact_at(&mut start, 0)?;
        disk.write_all_at(&start, 0)?;
        (self.file, self.on_disk) = (disk, true);
        Ok(())
    }

    /// The descriptor that it takes.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole body, positioned at its start; nobody can change it any more.
    ///
    /// # Errors
    /// Those of sealing or reopening.
    pub fn finish(self) -> io::Result<OwnedFd> {
        if self.on_disk {
            // A descriptor for reading only; the path in /proc leads to the unlinked file itself.
            return Ok(File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?.into());
        }
        let seals =
            SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
        fcntl(&self.file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(self.file.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_small_body_is_sealed_in_memory() {
        let mut spool = Spool::new().unwrap();
        spool.write(b"two ", Path::new("/nowhere")).unwrap();
        spool.write(b"pieces", Path::new("/nowhere")).unwrap();
        let mut body = File::from(spool.finish().unwrap());
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        assert_eq!(text, "two pieces");
        assert!(body.write(b"more").is_err());
    }

    #[test]
    fn a_large_body_moves_to_disk_whole() {
        let directory = tempfile::tempdir().unwrap();
        let piece: Vec<u8> = (0..700_000u32).map(|i| i as u8).collect();
        let mut spool = Spool::new().unwrap();
        for _ in 0..3 {
            spool.write(&piece, directory.path()).unwrap();
        }
        let mut body = File::from(spool.finish().unwrap());
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, piece.repeat(3));
        assert!(body.write(b"more").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
