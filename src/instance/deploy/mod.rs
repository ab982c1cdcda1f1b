//! Putting handlers into an execution path while it is being served.
//!
//! A handler appears under its name whole or not at all: it is written under a hidden name beside its place
//! and renamed. A hidden name never resolves, so what a killed deploy leaves behind is never executed, and the
//! next deploy removes it. Deploys into one directory take turns, so a hidden name found there is stale.
//!
//! `ETXTBSY` cannot happen: the file that is executed was written by a process that never forks, so that no
//! other process has it open for writing by the time it gets its name.

mod copy;
mod source;
mod warnings;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::sys::fs::{exchange, sync_file_system};
use crate::sys::lock::flock_exclusive;
use copy::{Tree, copy_file};
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
    let warnings = if source.is_dir {
        deploy_tree(&source.real, &hidden, &target, search)
    } else {
        deploy_file(&source.file, &hidden, &target)
            .map(|()| warnings::of_executables(std::slice::from_ref(&target), search))
    };
    remove(&hidden)
        .map_err(Error::file("remove", &hidden))
        .and(warnings.map(|warnings| Deployed { target, warnings }))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("cannot deploy {}: {why}", path.display()))
}

/// Refuses to replace something by itself or by a part of itself, and a file by a directory or the reverse.
fn check_places(source: &Source, base: &Path, target: &Path) -> Result<(), Error> {
    let Source { given, real, is_dir, .. } = source;
    if real == target {
        return Err(refused(given, "it is in place already"));
    }
    if real.starts_with(target) {
        return Err(refused(given, "it is inside the directory that it would replace"));
    }
    if *is_dir && base.starts_with(real) {
        return Err(refused(given, &format!("it contains {}, where it would go", base.display())));
    }
    let there = fs::symlink_metadata(target).ok().filter(|there| !there.is_symlink());
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

fn deploy_file(from: &File, hidden: &Path, target: &Path) -> Result<(), Error> {
    copy_file(from, hidden, executable)
        // After a power cut a renamed file must not be empty.
        .and_then(|copy| copy.sync_all())
        .and_then(|()| fs::rename(hidden, target))
        .and_then(|()| sync_parent(target))
        .map_err(Error::file("write the handler", target))
}

/// Executable for all who may read it.
fn executable(mode: u32) -> u32 {
    mode | (mode & 0o444) >> 2
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn deploy_tree(source: &Path, hidden: &Path, target: &Path, search: &str) -> Result<Vec<String>, Error> {
    let executables = Tree::copied(source, hidden)?.executables;
    let mut warnings = Vec::new();
    if executables.is_empty() {
        warnings.push(format!(
            "nothing in {} is executable, so nothing in it will be served; `chmod +x` the handlers and deploy again",
            source.display()
        ));
    }
    // Once for all files: they are on the disk before they get their name.
    File::open(hidden).and_then(|tree| sync_file_system(&tree)).map_err(Error::file("write", target))?;
    let replaced = match fs::symlink_metadata(target) {
        Ok(_) => replace(hidden, target, &mut warnings),
        Err(_) => fs::rename(hidden, target),
    };
    replaced.and_then(|()| sync_parent(target)).map_err(Error::file("put in place", target))?;
    let executables: Vec<PathBuf> = executables.iter().map(|file| target.join(file)).collect();
    warnings.extend(warnings::of_executables(&executables, search));
    Ok(warnings)
}

/// Exchanges the trees; where the file system cannot or a sandbox refuses it, the old one is moved away first.
fn replace(hidden: &Path, target: &Path, warnings: &mut Vec<String>) -> io::Result<()> {
    match exchange(hidden, target) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM)) => {
            let old = hidden.with_extension("old");
            fs::rename(target, &old)?;
            fs::rename(hidden, target)?;
            warnings.push(format!(
                "directories cannot be exchanged here (file system or sandbox), so {} was missing for a moment",
                target.display()
            ));
            remove(&old)
        }
        exchanged => exchanged,
    }
}
