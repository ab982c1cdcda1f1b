//! The layout of deployed directories on disk: names, links and locks. Code elsewhere creates them, starts handlers in
//! them and removes them.
//!
//! A deployed directory `shop` is a tree named `.caffeine@shop.1795680955123456`, created once and never modified, and
//! `shop` is a symbolic link to it. A deploy creates another tree and switches the link. So a handler started in a tree
//! finds it under its own name as long as the tree exists.
//!
//! Beside each tree is an empty file with the same name plus `.lock`, whose bytes are locked: - [`LAUNCH`], shared,
//! while a handler is being started in the tree: from before the link is read until the process executes the handler
//! and is visible in the process table; - [`LEASE`], shared, by each instance that may have handlers in the tree; -
//! both, exclusively, to remove the tree when no link points to it any more.
//!
//! The locks end with their holders, work across users and containers, and need only read permission.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::fs::open_regular;
use super::lock::try_lock_byte;

/// Prefix of tree names; requests never resolve to them.
pub const PREFIX: &[u8] = b".caffeine@";
/// Suffix of lock files.
const LOCK: &[u8] = b".lock";
/// A long name is cut, so that the tree's name fits into `NAME_MAX`.
const NAME_BYTES: usize = 160;

/// Byte locked to start a handler.
pub const LAUNCH: i64 = 0;
/// Byte locked by instances.
pub const LEASE: i64 = 1;

/// A unique tree name for the directory `name`.
pub fn new_name(name: &OsStr, micros: u64) -> OsString {
    let name = name.as_bytes();
    let part = &name[..name.len().min(NAME_BYTES)];
    OsString::from_vec([PREFIX, part, b".", micros.to_string().as_bytes()].concat())
}

pub fn is_tree(name: &OsStr) -> bool {
    name.as_bytes().starts_with(PREFIX) && !name.as_bytes().ends_with(LOCK)
}

/// The tree name that belongs to a lock file name.
pub fn tree_of_lock(name: &OsStr) -> Option<&OsStr> {
    let tree = name.as_bytes().strip_suffix(LOCK).map(OsStr::from_bytes);
    tree.filter(|tree| is_tree(tree))
}

/// The lock file of a tree.
pub fn lock_of(tree: &Path) -> PathBuf {
    let mut path = tree.as_os_str().to_owned();
    path.push(OsStr::from_bytes(LOCK));
    path.into()
}

/// The name of the tree that the link `path` points to, if it does.
pub fn linked(path: &Path) -> Option<OsString> {
    let leads_to = fs::read_link(path).ok()?.into_os_string();
    (is_tree(&leads_to) && !leads_to.as_bytes().contains(&b'/')).then_some(leads_to)
}

/// Creates or opens the lock file of a tree, to lock it exclusively.
///
/// # Errors
/// Those of open(2).
pub fn make_lock(tree: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let lock = open_regular(&mut options, &lock_of(tree), libc::O_NOFOLLOW)?;
    // Regardless of the umask: every user who can serve the tree can share its lock.
    let _ = lock.set_permissions(Permissions::from_mode(0o644));
    Ok(lock)
}

/// Locks both bytes exclusively, to remove the tree; `None` while one of them is locked.
///
/// # Errors
/// Those of open(2) and fcntl(2).
pub fn lock_to_remove(tree: &Path) -> io::Result<Option<File>> {
    let lock = make_lock(tree)?;
    Ok((try_lock_byte(&lock, LAUNCH)? && try_lock_byte(&lock, LEASE)?).then_some(lock))
}

/// Opens the lock file of a tree, to share its bytes.
///
/// # Errors
/// Those of open(2).
pub fn open_lock(tree: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), &lock_of(tree), libc::O_NOFOLLOW)
}
