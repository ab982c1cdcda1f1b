//! A listening unix socket and its file.
//!
//! The file of an instance that has died is in the way of the next one: it is replaced if nothing listens there. Of two
//! starts at once only one may find that, so that the check and the bind hold a lock on the directory.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::socket::Terms;

/// How long to wait for another start in the same directory.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// Who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permissions of the file.
    pub mode: u32,
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

/// The file of a listening socket. It is removed with this, in the process that made it, if it is still the same.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Held open, so that no other file gets its number.
    file: File,
    process: u32,
}

/// Binds a unix socket and listens.
///
/// # Errors
/// `AddrInUse` when something listens there; `AlreadyExists` when there is another kind of file; `InvalidInput` for a path
/// that is too long; others of bind(2), chown(2) and chmod(2).
pub fn listen(path: &Path, terms: Terms, access: Access) -> io::Result<(OwnedFd, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
    let _locked = lock(directory)?;
    remove_stale(path, &address)?;
    // The file is made with these permissions; nothing can connect before others are right, and the socket listens.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(&address)?;
    // By descriptor: in a directory that others can write, the name may lead anywhere by now.
    let found = File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)?;
    let by_descriptor = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = SocketFile { path: path.to_owned(), file: found, process: std::process::id() };
    if access.owner.is_some() || access.group.is_some() {
        chown(&by_descriptor, access.owner, access.group)?;
    }
    fs::set_permissions(&by_descriptor, Permissions::from_mode(access.mode))?;
    socket.listen(i32::try_from(terms.backlog).unwrap_or(i32::MAX))?;
    Ok((socket.into(), file))
}

fn lock(mut directory: File) -> io::Result<Flock<File>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((back, Errno::EWOULDBLOCK)) if Instant::now() < end => directory = back,
            Err((_, error)) => return Err(error.into()),
        }
        std::thread::sleep(PAUSE);
    }
}

fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where the queue is full, a blocking connect() would wait.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

impl SocketFile {
    /// The file of a socket that an earlier program of this process has bound.
    ///
    /// # Errors
    /// Those of open(2): it was removed.
    pub fn inherit(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)?;
        Ok(Self { path: path.to_owned(), file, process: std::process::id() })
    }

    /// Whether the path still leads to this socket.
    fn is_in_place(&self) -> bool {
        let identity = |found: &Metadata| (found.dev(), found.ino());
        let both = (fs::symlink_metadata(&self.path), self.file.metadata());
        matches!(both, (Ok(there), Ok(own)) if identity(&there) == identity(&own))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.process == std::process::id()
            && self.is_in_place()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(
                "cannot remove the unix socket {}: {error}; the next start replaces it",
                self.path.display()
            );
        }
    }
}

/// Whether it is a unix socket: TCP options do not apply.
pub fn is_unix(socket: impl AsFd) -> bool {
    socket2::SockRef::from(&socket).domain().is_ok_and(|domain| domain == Domain::UNIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    const ACCESS: Access = Access { mode: 0o620, owner: None, group: None };

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("socket");
        let terms = Terms::default();
        let (socket, file) = listen(&path, terms, ACCESS).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o620);
        assert_eq!(listen(&path, terms, ACCESS).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(path.exists(), "as after a crash");
        let (_socket, replacement) = listen(&path, terms, ACCESS).unwrap();
        drop(file);
        assert!(path.exists(), "it is another one's");
        drop(replacement);
        assert!(!path.exists());
        fs::write(&path, "text").unwrap();
        assert_eq!(listen(&path, terms, ACCESS).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&path).unwrap();
        // One whose queue is full is not stale.
        let busy = UnixListener::bind(&path).unwrap();
        socket2::SockRef::from(&busy).listen(0).unwrap();
        let _waiting = UnixStream::connect(&path).unwrap();
        assert_eq!(listen(&path, terms, ACCESS).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn of_many_starts_at_once_over_a_stale_socket_one_wins() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let start = || listen(&path, Terms::default(), ACCESS);
        let started = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(started.iter().filter(|started| started.is_ok()).count(), 1);
        UnixStream::connect(&path).unwrap();
    }
}
