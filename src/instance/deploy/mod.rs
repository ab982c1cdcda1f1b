//! Deploys handlers into a directory that is being served.
//!
//! A handler appears under its name completely or not at all: it is written under a hidden name beside its place and
//! renamed. Hidden names are never served, so leftovers of a killed deploy are never executed, and the next deploy
//! removes them. Deploys into one directory take turns, so any hidden name found there is stale.
//!
//! A directory becomes a tree of its own, and its name a link to it (`tree`), so that handlers in the old tree keep it.
//! A later deploy or the instance removes the old tree once it is unused.
//!
//! `ETXTBSY` cannot happen: the file was written by a process that never forks, so that no other process has it open
//! for writing by the time it gets its name.

mod copy;
mod source;
mod tree;
mod warnings;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Error, trees};
use crate::sys::deployed;
use crate::sys::lock::flock_exclusive;
use copy::copy_file;
pub use source::Source;

/// Prefix of hidden names.
const HIDDEN: &str = ".caffeine-";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The deployed file or directory.
    pub target: PathBuf,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// Deploys `source` into the directory `base` under its own file name: a file becomes `base/FILE`, executable for all
/// who may read it; a directory becomes `base/DIR`, atomically. Permissions and times are kept, set-user-id and
/// set-group-id are not. Interpreters of `#!/usr/bin/env NAME` are looked up in `search`, like `PATH`.
///
/// # Errors
/// [`Error::Refused`] if the source cannot be deployed there; [`Error::File`] if reading or writing fails: then the old
/// handlers stay.
pub fn deploy(source: &Source, base: &Path, search: &str) -> Result<Deployed, Error> {
    let base = base.canonicalize().map_err(Error::file("deploy into", base))?;
    let target = base.join(&source.name);
    check_places(source, &base, &target)?;

    let alone = File::open(&base).and_then(flock_exclusive);
    if alone.is_ok() {
        remove_stale(&base);
    }
    let hidden = base.join(format!("{HIDDEN}{}", std::process::id()));
    let places = Places { base: &base, hidden: &hidden, target: &target };
    let warnings = if source.is_dir {
        tree::deploy(&source.real, &places, search)
    } else {
        deploy_file(&source.file, &places)
            .map(|()| warnings::of_executables(std::slice::from_ref(&target), search))
    };
    remove(&hidden).map_err(Error::file("remove", &hidden))?;
    Ok(Deployed { target, warnings: warnings? })
}

/// Removes replaced and unused trees in `base`. What is left over does no harm, and the next deploy tries again.
pub fn tidy(base: &Path) {
    let _alone = match File::open(base).and_then(flock_exclusive) {
        Ok(alone) => alone,
        Err(_) => return, // another deploy may be making a tree
    };
    let _ = trees::all(base).and_then(|all| trees::remove_unused(base, all));
}

/// The destination.
#[derive(Clone, Copy, Debug)]
struct Places<'a> {
    base: &'a Path,
    /// A temporary name.
    hidden: &'a Path,
    target: &'a Path,
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("cannot deploy {}: {why}", path.display()))
}

/// Refuses to replace a directory by itself or by a part of itself, and a file by a directory or the reverse.
fn check_places(source: &Source, base: &Path, target: &Path) -> Result<(), Error> {
    let Source { given, real, is_dir, .. } = source;
    let there = deployed::linked(target).map_or(target.to_owned(), |tree| base.join(tree));
    if *real == there {
        return Err(refused(given, "it is in place already"));
    }
    if real.starts_with(&there) {
        return Err(refused(given, "it is inside the directory that it would replace"));
    }
    if *is_dir && base.starts_with(real) {
        return Err(refused(given, &format!("it contains {}, the destination", base.display())));
    }
    let there = fs::symlink_metadata(there).ok().filter(|there| !there.is_symlink());
    match there.map(|there| there.is_dir()) {
        Some(true) if !is_dir => {
            Err(refused(given, &format!("{} is a directory; remove it first", target.display())))
        }
        Some(false) if *is_dir => {
            Err(refused(given, &format!("{} is not a directory; remove it first", target.display())))
        }
        _ => Ok(()),
    }
}

/// Removes leftovers of killed deploys. What cannot be removed does no harm.
fn remove_stale(base: &Path) {
    let is_ours = |name: &OsStr| name.as_bytes().starts_with(HIDDEN.as_bytes());
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if is_ours(&entry.file_name()) {
            let _ = remove(&entry.path());
        }
    }
}

/// Removes a file or a tree; one that is not there is fine.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn deploy_file(from: &File, places: &Places<'_>) -> Result<(), Error> {
    copy_file(from, places.hidden, executable)
        // After a power cut a renamed file must not be empty.
        .and_then(|copy| copy.sync_all())
        .and_then(|()| fs::rename(places.hidden, places.target))
        .and_then(|()| sync_parent(places.target))
        .map_err(Error::file("write the handler", places.target))
}

/// Executable for all who may read it.
fn executable(mode: u32) -> u32 {
    mode | (mode & 0o444) >> 2
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
