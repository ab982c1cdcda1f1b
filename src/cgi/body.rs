//! A request body on its way to a handler's standard input: a sealed memory file, or an unlinked file on disk when large, or
//! when there are no memory files (a sandbox may refuse them, or `vm.memfd_noexec`).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::fs::unnamed;

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
    /// An empty one, in memory; where there are no memory files, an unlinked one in `directory`.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of `memfd_create(2)`; those of making a file.
    pub fn new(directory: &Path) -> io::Result<Self> {
        match memfd_create(c"body", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING) {
            Ok(file) => Ok(Self { file: file.into(), len: 0, on_disk: false }),
            Err(error @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => Err(error.into()),
            Err(_) => Ok(Self { file: unnamed(directory)?, len: 0, on_disk: true }),
        }
    }

    /// Appends a piece. A body beyond 1 MiB moves to an unlinked file in `directory`.
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

    /// Bytes in memory after `more` were written.
    pub fn in_memory_with(&self, more: usize) -> u64 {
        let len = self.len + more as u64;
        if self.on_disk || len > IN_MEMORY_BYTES { 0 } else { len }
    }

    fn move_to_disk(&mut self, directory: &Path) -> io::Result<()> {
        let disk = unnamed(directory)?;
        let mut start = vec![0; usize::try_from(self.len).unwrap_or(0)];
        self.file.read_exact_at(&mut start, 0)?;
        disk.write_all_at(&start, 0)?;
        (self.file, self.on_disk) = (disk, true);
        Ok(())
    }

    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The complete body, positioned at its start and no longer writable.
    pub fn finish(self) -> OwnedFd {
        let seals =
            SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
        if !self.on_disk && fcntl(&self.file, FcntlArg::F_ADD_SEALS(seals)).is_ok() {
            return self.file.into();
        }
        // A descriptor for reading only; the path in /proc leads to the unlinked file itself. A file system that cannot open
        // what it has no name for leaves the handler its own body to write to.
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd())).unwrap_or(self.file).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sandbox::{Rule, refuse_in_this_thread};
    use std::io::{Read, Write};

    #[test]
    fn a_small_body_is_sealed_in_memory() {
        let mut spool = Spool::new(Path::new("/nowhere")).unwrap();
        spool.write(b"two ", Path::new("/nowhere")).unwrap();
        assert_eq!((spool.in_memory_with(6), spool.in_memory_with(1 << 20)), (10, 0));
        spool.write(b"pieces", Path::new("/nowhere")).unwrap();
        let mut body = File::from(spool.finish());
        let mut text = String::new();
        body.read_to_string(&mut text).unwrap();
        assert_eq!(text, "two pieces");
        assert!(body.write(b"more").is_err());
    }

    #[test]
    fn bodies_reach_their_reader_without_memory_files_without_seals_and_without_unnamed_files() {
        let unnamed = Rule::flag(libc::SYS_openat, 2, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32);
        let seals = Rule::flag(libc::SYS_fcntl, 1, 1 << 3); // F_ADD_SEALS is 1033, and no other command used here has this bit
        for (rules, errno) in [
            (vec![Rule::call(libc::SYS_memfd_create)], libc::ENOSYS),
            (vec![Rule::call(libc::SYS_memfd_create)], libc::EACCES),
            (vec![unnamed], libc::EOPNOTSUPP),
            (vec![unnamed], libc::EISDIR),
            (vec![seals], libc::EINVAL),
            (vec![Rule::call(libc::SYS_memfd_create), unnamed], libc::EPERM),
        ] {
            let thread = move || {
                refuse_in_this_thread(&rules, errno).unwrap();
                a_large_body_moves_to_disk_whole();
                let directory = tempfile::tempdir().unwrap();
                let mut spool = Spool::new(directory.path()).unwrap();
                spool.write(b"small", directory.path()).unwrap();
                let mut body = File::from(spool.finish());
                let mut text = String::new();
                body.read_to_string(&mut text).unwrap();
                assert!(text == "small" && body.write(b"more").is_err());
                assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
            };
            std::thread::spawn(thread).join().unwrap();
        }
    }

    #[test]
    fn a_large_body_moves_to_disk_whole() {
        let directory = tempfile::tempdir().unwrap();
        let piece: Vec<u8> = (0..700_000u32).map(|i| i as u8).collect();
        let mut spool = Spool::new(directory.path()).unwrap();
        for _ in 0..3 {
            spool.write(&piece, directory.path()).unwrap();
        }
        assert_eq!(spool.in_memory_with(1), 0);
        let mut body = File::from(spool.finish());
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, piece.repeat(3));
        assert!(body.write(b"more").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
