//! Deploys a directory as a new tree beside the old one, and switches the link to it.
//!
//! After a power cut the link points to the old tree or the new one, and that is complete: the new tree is written to
//! disk before the switch, with one sync, and the switch before the old tree is removed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::copy::Tree;
use super::{Places, remove, sync_parent, warnings};
use crate::instance::Error;
use crate::sys::clock::realtime_ns;
use crate::sys::deployed;
use crate::sys::fs::{exchange, sync_file_system};

/// Deploys a copy of the directory `source`; returns warnings for the user.
pub(super) fn deploy(source: &Path, places: &Places<'_>, search: &str) -> Result<Vec<String>, Error> {
    let name = unused_name(places.base, places.target);
    let tree = places.base.join(&name);
    let mut warnings = Vec::new();
    let done = copy(source, &tree, &mut warnings).and_then(|executables| {
        switch(&name, places, &mut warnings).map_err(Error::file("put in place", places.target))?;
        Ok(executables)
    });
    if done.is_err() {
        let _ = remove(&tree).and_then(|()| remove(&deployed::lock_of(&tree)));
    }
    let executables: Vec<PathBuf> = done?.iter().map(|file| places.target.join(file)).collect();
    warnings.extend(warnings::of_executables(&executables, search));
    Ok(warnings)
}

fn unused_name(base: &Path, target: &Path) -> OsString {
    let name = target.file_name().unwrap_or(OsStr::new("/"));
    let mut micros = realtime_ns() / 1000;
    loop {
        let tree = deployed::new_name(name, micros);
        if fs::symlink_metadata(base.join(&tree)).is_err() {
            return tree;
        }
        micros += 1;
    }
}

/// Copies the tree and writes it to disk; returns its executable files.
fn copy(source: &Path, tree: &Path, warnings: &mut Vec<String>) -> Result<Vec<PathBuf>, Error> {
    deployed::make_lock(tree).map_err(Error::file("make the lock of", tree))?;
    let executables = Tree::copied(source, tree)?.executables;
    if executables.is_empty() {
        warnings.push(format!(
            "nothing in {} is executable, so nothing in it will be served; `chmod +x` the handlers and deploy again",
            source.display()
        ));
    }
    File::open(tree).and_then(|tree| sync_file_system(&tree)).map_err(Error::file("write", tree))?;
    Ok(executables)
}

fn switch(name: &OsStr, places: &Places<'_>, warnings: &mut Vec<String>) -> io::Result<()> {
    let Places { hidden, target, .. } = *places;
    symlink(name, hidden)?;
    if fs::symlink_metadata(target).is_ok_and(|there| there.is_dir()) {
        replace_directory(places, warnings)?;
    } else {
        fs::rename(hidden, target)?;
    }
    sync_parent(target)
}

/// Replaces a directory that was copied there by hand with the link. It becomes an old tree.
fn replace_directory(places: &Places<'_>, warnings: &mut Vec<String>) -> io::Result<()> {
    let Places { base, hidden, target } = *places;
    let old = base.join(unused_name(base, target));
    deployed::make_lock(&old)?;
    match exchange(hidden, target) {
        Ok(()) => fs::rename(hidden, old),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM)) => {
            fs::rename(target, old)?;
            fs::rename(hidden, target)?;
            warnings.push(format!(
                "this file system cannot exchange directories, so {} was missing for a moment; it is a link now, so this will \
                 not happen again",
                target.display()
            ));
            Ok(())
        }
        Err(error) => Err(error),
    }
}
