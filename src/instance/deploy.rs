//! Putting handlers into an execution path while it is being served.
//!
//! A handler appears under its name whole or not at all: it is written under a hidden name beside its place
//! and renamed. A hidden name never resolves, so what a killed deploy leaves behind is never executed, and the
//! next deploy removes it. Deploys into one directory take turns, so a hidden name found there is stale.
//!
//! `ETXTBSY` cannot happen: the file that is executed was written by a process that never forks, so that no
//! other process has it open for writing by the time it gets its name.
//!
//! Symbolic links: the source itself may be one and is followed. Inside a directory they are kept when they
//! are relative and stay inside it (`..` only in front); any other is refused, because nothing served may lead out.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::Error;
use crate::sys::fs::exchange;
use crate::sys::lock::flock_exclusive;

/// Hidden names begin with this.
const HIDDEN: &str = ".caffeine-";
/// Directories within each other, at most.
const MAX_DEPTH: usize = 64;

/// What a deploy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The file or directory that is in place now.
    pub target: PathBuf,
    /// What the user should know about it.
    pub warnings: Vec<String>,
}

/// Puts `source` into the directory `base` under its own last name: a file becomes `base/FILE` with mode 0755, a
/// directory `base/DIR`, the whole tree at once, execute bits kept, set-user-id and set-group-id dropped.
///
/// # Errors
/// [`Error::Refused`] for a source that cannot become a handler; [`Error::File`] when reading or writing fails:
/// then what was in place still is.
pub fn deploy(source: &Path, base: &Path) -> Result<Deployed, Error> {
    let open = |path: &Path| OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let real = source.canonicalize().map_err(Error::file("deploy", source))?;
    let kind = fs::metadata(&real).map_err(Error::file("deploy", source))?;
    if !kind.is_file() && !kind.is_dir() {
        return Err(refused(source, "it is neither a file nor a directory"));
    }
    // Not before its kind is known: opening a FIFO or a device can have effects.
    let file = open(&real).map_err(Error::file("deploy", source))?;
    let base = base.canonicalize().map_err(Error::file("deploy into", base))?;
    let target = base.join(handler_name(source, &real)?);
    check_places(source, &real, &base, &target, kind.is_dir())?;

    let alone = File::open(&base).and_then(flock_exclusive);
    if alone.is_ok() {
        remove_stale(&base);
    }
    let hidden = base.join(format!("{HIDDEN}{}", std::process::id()));
    let warnings = if kind.is_dir() {
        deploy_tree(&real, &hidden, &target)
    } else {
        deploy_file(file, &hidden, &target).map(|()| Vec::new())
    };
    remove(&hidden)
        .map_err(Error::file("remove", &hidden))
        .and(warnings.map(|warnings| Deployed { target, warnings }))
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Refused(format!("cannot deploy {}: {why}", path.display()))
}

/// The last name of the source as given, or as found for `.` and the like.
fn handler_name(source: &Path, real: &Path) -> Result<OsString, Error> {
    let name = source.file_name().or(real.file_name()).ok_or_else(|| refused(source, "it has no name"))?;
    if name.as_bytes().starts_with(b".") {
        return Err(refused(source, "names that begin with '.' are never served; rename it"));
    }
    Ok(name.to_owned())
}

/// Refuses to replace something by itself or by a part of itself, and a file by a directory or the reverse.
fn check_places(source: &Path, real: &Path, base: &Path, target: &Path, is_dir: bool) -> Result<(), Error> {
    if real == target {
        return Err(refused(source, "it is in place already"));
    }
    if real.starts_with(target) {
        return Err(refused(source, "it is inside the directory that it would replace"));
    }
    if is_dir && base.starts_with(real) {
        return Err(refused(source, &format!("it contains {}, where it would go", base.display())));
    }
    let there = fs::symlink_metadata(target).ok().filter(|there| !there.is_symlink());
    match there.map(|there| there.is_dir()) {
        Some(true) if !is_dir => {
            Err(refused(source, &format!("{} is a directory; remove it first", target.display())))
        }
        Some(false) if is_dir => {
            Err(refused(source, &format!("{} is no directory; remove it first", target.display())))
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

fn deploy_file(mut from: File, hidden: &Path, target: &Path) -> Result<(), Error> {
    write_file(&mut from, hidden, 0o755)
        .and_then(|()| fs::rename(hidden, target))
        .and_then(|()| sync_parent(target))
        .map_err(Error::file("write the handler", target))
}

/// Writes a new file and waits until it is on the disk: after a power cut a renamed file must not be empty.
fn write_file(from: &mut File, path: &Path, mode: u32) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(from, &mut to)?;
    to.set_permissions(Permissions::from_mode(mode))?;
    to.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn deploy_tree(source: &Path, hidden: &Path, target: &Path) -> Result<Vec<String>, Error> {
    let mut tree = Tree { root: source, executables: 0 };
    tree.copy(Path::new(""), hidden, 0)?;
    let mut warnings = Vec::new();
    if tree.executables == 0 {
        warnings.push(format!(
            "nothing in {} is executable, so nothing in it will be served; `chmod +x` the handlers and deploy again",
            source.display()
        ));
    }
    let replaced = match fs::symlink_metadata(target) {
        Ok(_) => replace(hidden, target, &mut warnings),
        Err(_) => fs::rename(hidden, target),
    };
    replaced.and_then(|()| sync_parent(target)).map_err(Error::file("put in place", target))?;
    Ok(warnings)
}

/// Exchanges the trees; where the file system cannot, the old one is moved away first.
fn replace(hidden: &Path, target: &Path, warnings: &mut Vec<String>) -> io::Result<()> {
    match exchange(hidden, target) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            let old = hidden.with_extension("old");
            fs::rename(target, &old)?;
            fs::rename(hidden, target)?;
            warnings.push(format!(
                "this file system cannot exchange directories, so {} was missing for a moment",
                target.display()
            ));
            remove(&old)
        }
        exchanged => exchanged,
    }
}

/// A directory that is being copied.
struct Tree<'a> {
    root: &'a Path,
    executables: usize,
}

impl Tree<'_> {
    /// Copies what is at `relative` to the root to `to`.
    fn copy(&mut self, relative: &Path, to: &Path, depth: usize) -> Result<(), Error> {
        let from = self.root.join(relative);
        let found = fs::symlink_metadata(&from).map_err(Error::file("deploy", &from))?;
        if depth > MAX_DEPTH {
            return Err(refused(&from, &format!("it is more than {MAX_DEPTH} directories deep")));
        }
        if found.is_symlink() {
            return copy_link(&from, relative, to);
        }
        if found.is_dir() {
            return self.copy_dir(relative, &found, to, depth);
        }
        if !found.is_file() {
            return Err(refused(&from, "it is no file, directory or symbolic link"));
        }
        self.executables += usize::from(found.mode() & 0o111 != 0);
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&from)
            .and_then(|mut file| write_file(&mut file, to, found.mode() & 0o777))
            .map_err(Error::file("deploy", &from))
    }

    fn copy_dir(&mut self, relative: &Path, found: &Metadata, to: &Path, depth: usize) -> Result<(), Error> {
        let from = self.root.join(relative);
        fs::create_dir(to).map_err(Error::file("make the directory", to))?;
        for entry in fs::read_dir(&from).map_err(Error::file("deploy", &from))? {
            let name = entry.map_err(Error::file("deploy", &from))?.file_name();
            self.copy(&relative.join(&name), &to.join(&name), depth + 1)?;
        }
        // Ours to read, enter and one day remove, whatever the source said.
        fs::set_permissions(to, Permissions::from_mode(found.mode() & 0o777 | 0o700))
            .map_err(Error::file("make the directory", to))
    }
}

fn copy_link(from: &Path, relative: &Path, to: &Path) -> Result<(), Error> {
    let leads_to = fs::read_link(from).map_err(Error::file("deploy", from))?;
    if !stays_inside(relative, &leads_to) {
        return Err(refused(
            from,
            &format!("the link leads out of the directory, to {}", leads_to.display()),
        ));
    }
    symlink(&leads_to, to).map_err(Error::file("deploy", from))
}

/// Whether a link at `link`, relative to the root of its tree, leads to a place in the tree, whatever the other
/// links there are. The directories above a link are real ones, so going up from it is safe as far as the root;
/// going up after a name is not, because that name may itself be a link to somewhere higher.
fn stays_inside(link: &Path, leads_to: &Path) -> bool {
    let up =
        leads_to.components().take_while(|part| matches!(part, Component::ParentDir | Component::CurDir));
    let levels = up.clone().filter(|part| *part == Component::ParentDir).count();
    levels < link.components().count()
        && leads_to.components().skip(up.count()).all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_lead_anywhere_inside_its_tree() {
        for (link, to) in [("a", "b"), ("d/a", "../b"), ("d/a", "./../b"), ("a", "d/e")] {
            assert!(stays_inside(Path::new(link), Path::new(to)), "{link} -> {to}");
        }
    }

    #[test]
    fn a_link_may_not_lead_out_of_its_tree_and_back() {
        for (link, to) in
            [("a", ".."), ("a", "../x/b"), ("d/a", "../../x"), ("a", "/etc/passwd"), ("a", "d/../..")]
        {
            assert!(!stays_inside(Path::new(link), Path::new(to)), "{link} -> {to}");
        }
    }
}
