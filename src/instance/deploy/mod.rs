//! Putting handlers into an execution path while it is being served.
//!
//! A handler appears under its name whole or not at all: it is written under a hidden name beside its place
//! and renamed. A hidden name never resolves, so what a killed deploy leaves behind is never executed, and the
//! next deploy removes it. Deploys into one directory take turns, so a hidden name found there is stale.
//!
//! A directory lives in a tree of its own, to which its name is a link (`tree`): those who run in the old tree keep it.
//! It is removed by whoever first finds it unused, a later deploy or the instance.
//!
//! `ETXTBSY` cannot happen: the file that is executed was written by a process that never forks, so that no
//! other process has it open for writing by the time it gets its name.

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

/// Hidden names begin with this.
const HIDDEN: &str = ".caffeine-";

/// What a deploy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The file or directory that is in place now.
    pub target: PathBuf,
    /// What the user should know about it.
    pub warnings: Vec<String>,
}

/// Puts `source` into the directory `base` under its own last name: a file becomes `base/FILE`, executable for all who
/// may read it; a directory `base/DIR`, the whole tree at once. Permissions and times are kept, set-user-id and set-group-id
/// are not. Interpreters of `#!/usr/bin/env NAME` are expected in `search`, as in `PATH`.
///
/// # Errors
/// [`Error::Refused`] for a source that cannot go there; [`Error::File`] when reading or writing fails: then what was in
/// place still is.
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

/// Removes the trees in `base` that were replaced and that nothing uses any more. What is left over does no harm, and the
/// next deploy tries again.
pub fn tidy(base: &Path) {
    let _alone = match File::open(base).and_then(flock_exclusive) {
        Ok(alone) => alone,
        Err(_) => return, // another deploy may be making a tree
    };
    let _ = trees::all(base).and_then(|all| trees::remove_unused(base, all));
}

/// Where something is deployed to.
#[derive(Clone, Copy, Debug)]
struct Places<'a> {
    base: &'a Path,
    /// A name of this deploy's own.
    hidden: &'a Path,
    target: &'a Path,
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("cannot deploy {}: {why}", path.display()))
}

/// Refuses to replace something by itself or by a part of itself, and a file by a directory or the reverse.
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
        return Err(refused(given, &format!("it contains {}, where it would go", base.display())));
    }
    let there = fs::symlink_metadata(there).ok().filter(|there| !there.is_symlink());
    match there.map(|there| there.is_dir()) {
        Some(true) if !is_dir => {
            Err(refused(given, &format!("{} is a directory; remove it first", target.display())))
        }
        Some(false) if *is_dir => {
            Err(refused(given, &format!("{} is no directory; remove it first", target.display())))
        }
        _ => Ok(()),
    }
}

/// Removes what killed deploys left. What cannot be removed does no harm.
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
