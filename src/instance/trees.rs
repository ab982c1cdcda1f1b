//! Deployed trees in a base directory: which are in place, and removal of unused ones.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::{deployed, traces};

/// The trees that links in `base` point to.
///
/// # Errors
/// The directory cannot be read.
pub fn in_place(base: &Path) -> io::Result<BTreeSet<OsString>> {
    let entries = fs::read_dir(base)?.collect::<io::Result<Vec<_>>>()?;
    let is_link = |entry: &&fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    Ok(entries.iter().filter(is_link).filter_map(|entry| deployed::linked(&entry.path())).collect())
}

/// All trees in `base`, and locks without one.
///
/// # Errors
/// The directory cannot be read.
pub fn all(base: &Path) -> io::Result<BTreeSet<OsString>> {
    let names = fs::read_dir(base)?.map(|entry| entry.map(|entry| entry.file_name()));
    let tree = |name: OsString| {
        if deployed::is_tree(&name) { Some(name) } else { deployed::tree_of_lock(&name).map(OsStr::to_owned) }
    };
    Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().filter_map(tree).collect())
}

/// Removes those of `trees` in `base` that are not in place, that no instance holds a lease of, and that no process
/// refers to. What cannot be removed does no harm, and is tried again later.
///
/// # Errors
/// The trees in place or the running processes cannot be determined.
pub fn remove_unused(base: &Path, trees: impl IntoIterator<Item = OsString>) -> io::Result<()> {
    let before = in_place(base)?;
    let lock = |name: OsString| {
        let tree = base.join(&name);
        deployed::lock_to_remove(&tree).ok().flatten().map(|lock| (name, tree, lock))
    };
    let locked: Vec<(OsString, PathBuf, File)> =
        trees.into_iter().filter(|name| !before.contains(name)).filter_map(lock).collect();
    if locked.is_empty() {
        return Ok(());
    }
    // In this order: a tree that is not in place gets no new handlers, and earlier handlers are visible.
    let in_place = in_place(base)?;
    let traces = traces::of(deployed::PREFIX)?;
    for (name, tree, _held) in locked {
        if !in_place.contains(&name) && !traces.lead_to(name.as_bytes()) {
            let gone = fs::remove_dir_all(&tree);
            if gone.is_ok() || gone.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                let _ = fs::remove_file(deployed::lock_of(&tree));
            }
        }
    }
    Ok(())
}
