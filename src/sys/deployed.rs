//! Deployed directories on the disk: what they are called, how a name leads to them, and how they are locked. For those who
//! make them, start handlers in them and remove them; this file does none of that.
//!
//! A deployed directory `shop` is a tree called `.caffeine@shop.1795680955123456`, made once and never replaced, and `shop`
//! is a symbolic link to it. A deploy makes another tree beside it and switches the link. So everything that was started
//! in a tree finds it under its own name as long as it is there.
//!
//! Beside each tree lies a file of the same name with `.lock` at its end. It is empty, and its bytes are locked:
//! - [`LAUNCH`], shared, while a handler is being started in the tree: from before the link is read until the process
//!   executes the handler, and can be seen in the table of processes;
//! - [`LEASE`], shared, by each instance that may have handlers in the tree;
//! - both, exclusively, by the one who removes it, when no link leads to it any more.
//!
//! Locks end with those who hold them, reach across users and containers, and need no more than the right to read.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::fs::open_regular;
use super::lock::try_lock_byte;

/// What trees are called begins so; requests never lead to such a name.
pub const PREFIX: &[u8] = b".caffeine@";
/// What the locks of trees are called ends so.
const LOCK: &[u8] = b".lock";
/// Of a long name only a part is in that of its tree: all of it would be too long (`NAME_MAX`).
const NAME_BYTES: usize = 160;

/// The byte for those who start a handler.
pub const LAUNCH: i64 = 0;
/// The byte for instances.
pub const LEASE: i64 = 1;

/// A name for a tree of the directory `name`, unlike any before it.
pub fn new_name(name: &OsStr, micros: u64) -> OsString {
    let name = name.as_bytes();
    let part = &name[..name.len().min(NAME_BYTES)];
    OsString::from_vec([PREFIX, part, b".", micros.to_string().as_bytes()].concat())
}

/// Whether `name` is that of a tree.
pub fn is_tree(name: &OsStr) -> bool {
    name.as_bytes().starts_with(PREFIX) && !name.as_bytes().ends_with(LOCK)
}

/// The tree of the lock called `name`, if it is one.
pub fn tree_of_lock(name: &OsStr) -> Option<&OsStr> {
    let tree = name.as_bytes().strip_suffix(LOCK).map(OsStr::from_bytes);
    tree.filter(|tree| is_tree(tree))
}

/// The lock of the tree at `tree`.
pub fn lock_of(tree: &Path) -> PathBuf {
    let mut path = tree.as_os_str().to_owned();
    path.push(OsStr::from_bytes(LOCK));
    path.into()
}

/// The name of the tree beside `path` to which it is a link, if it is one.
pub fn linked(path: &Path) -> Option<OsString> {
    let leads_to = fs::read_link(path).ok()?.into_os_string();
    (is_tree(&leads_to) && !leads_to.as_bytes().contains(&b'/')).then_some(leads_to)
}

/// Makes the lock of a tree, or opens it to lock it exclusively.
///
/// # Errors
/// Those of open(2).
pub fn make_lock(tree: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let lock = open_regular(&mut options, &lock_of(tree), libc::O_NOFOLLOW)?;
    // Whatever the umask is: who can serve the tree can share its lock.
    let _ = lock.set_permissions(Permissions::from_mode(0o644));
    Ok(lock)
}

/// Both bytes, for the one who removes the tree; `None` while anyone holds one of them.
///
/// # Errors
/// Those of open(2) and fcntl(2).
pub fn lock_to_remove(tree: &Path) -> io::Result<Option<File>> {
    let lock = make_lock(tree)?;
    Ok((try_lock_byte(&lock, LAUNCH)? && try_lock_byte(&lock, LEASE)?).then_some(lock))
}

/// Opens the lock of a tree, to share its bytes.
///
/// # Errors
/// Those of open(2).
pub fn open_lock(tree: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), &lock_of(tree), libc::O_NOFOLLOW)
}
