//! Copies files and trees: contents, modes, times, and links that stay inside.
//!
//! Nothing is synced here: one sync for a whole tree is much cheaper than one per file.
//!
//! Symbolic links are kept if they are relative and stay inside the tree (`..` only in front). Others are refused,
//! because requests must not lead outside. Nothing is served below a name that begins with `.`, so links there may
//! point anywhere (`.venv/bin/python3` to `/usr/bin`), as long as no link from outside leads through them.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::refused;
use crate::instance::Error;

/// Deepest nesting of directories.
const MAX_DEPTH: usize = 64;
/// Permissions that are kept; set-user-id and the like are not.
const PERMISSIONS: u32 = 0o777;

/// Writes a new file with the contents and times of `from`. `mode` makes its permissions out of those of `from`.
pub(super) fn copy_file(mut from: &File, path: &Path, mode: impl Fn(u32) -> u32) -> io::Result<File> {
    let found = from.metadata()?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(&mut from, &mut to)?;
    to.set_permissions(Permissions::from_mode(mode(found.mode() & PERMISSIONS)))?;
    to.set_times(times(&found)?)?;
    Ok(to)
}

fn times(found: &Metadata) -> io::Result<FileTimes> {
    Ok(FileTimes::new().set_accessed(found.accessed()?).set_modified(found.modified()?))
}

/// A directory that is being copied.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    root: &'a Path,
    /// The executable files in it, relative to the root.
    pub(super) executables: Vec<PathBuf>,
}

impl<'a> Tree<'a> {
    /// Copies all of the directory `root` to `to`, which is not there yet.
    pub(super) fn copied(root: &'a Path, to: &Path) -> Result<Self, Error> {
        let mut tree = Self { root, executables: Vec::new() };
        tree.copy(Path::new(""), to, 0)?;
        Ok(tree)
    }

    /// Copies what is at `relative` to the root to `to`.
    fn copy(&mut self, relative: &Path, to: &Path, depth: usize) -> Result<(), Error> {
        let from = self.root.join(relative);
        let found = fs::symlink_metadata(&from).map_err(Error::file("deploy", &from))?;
        if depth > MAX_DEPTH {
            return Err(refused(&from, &format!("it is more than {MAX_DEPTH} directories deep")));
        }
        if found.is_symlink() {
            return self.copy_link(&from, &found, relative, to);
        }
        if found.is_dir() {
            return self.copy_dir(relative, &found, to, depth);
        }
        if !found.is_file() {
            return Err(refused(&from, "it is not a file, directory or symbolic link"));
        }
        if found.mode() & 0o111 != 0 {
            self.executables.push(relative.to_owned());
        }
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&from)
            .and_then(|file| copy_file(&file, to, |mode| mode))
            .map(drop)
            .map_err(Error::file("deploy", &from))
    }

    fn copy_dir(&mut self, relative: &Path, found: &Metadata, to: &Path, depth: usize) -> Result<(), Error> {
        let from = self.root.join(relative);
        fs::create_dir(to).map_err(Error::file("make the directory", to))?;
        for entry in fs::read_dir(&from).map_err(Error::file("deploy", &from))? {
            let name = entry.map_err(Error::file("deploy", &from))?.file_name();
            self.copy(&relative.join(&name), &to.join(&name), depth + 1)?;
        }
        let made = File::open(to).and_then(|made| {
            // Readable, searchable and removable by us, whatever the source's mode is.
            made.set_permissions(Permissions::from_mode(found.mode() & PERMISSIONS | 0o700))?;
            made.set_times(times(found)?)
        });
        made.map_err(Error::file("make the directory", to))
    }

    fn copy_link(&self, from: &Path, found: &Metadata, relative: &Path, to: &Path) -> Result<(), Error> {
        let leads_to = fs::read_link(from).map_err(Error::file("deploy", from))?;
        if !is_hidden(relative) && !self.stays_inside(relative, &leads_to) {
            return Err(refused(
                from,
                &format!(
                    "the link points outside the directory, to {}; copy its target, or keep the link in a directory \
                     whose name begins with '.', from which nothing is served",
                    leads_to.display()
                ),
            ));
        }
        symlink(&leads_to, to)
            .and_then(|()| {
                let [accessed, modified] =
                    [(found.atime(), found.atime_nsec()), (found.mtime(), found.mtime_nsec())]
                        .map(|(seconds, nanos)| TimeSpec::new(seconds, nanos));
                let flags = UtimensatFlags::NoFollowSymlink;
                Ok(utimensat(AT_FDCWD, to, &accessed, &modified, flags)?)
            })
            .map_err(Error::file("deploy", from))
    }

    /// Whether a link points inside the tree. If it passes hidden names and may meet other links, it is followed to its
    /// end.
    fn stays_inside(&self, link: &Path, leads_to: &Path) -> bool {
        leads_inside(link, leads_to)
            && (!is_hidden(leads_to)
                || self.root.join(link).canonicalize().is_ok_and(|end| end.starts_with(self.root)))
    }
}

/// Whether a name in the path begins with `.`.
fn is_hidden(path: &Path) -> bool {
    path.components().any(|part| matches!(part, Component::Normal(name) if name.as_bytes().starts_with(b".")))
}

/// Whether a link at `link`, relative to the root of its tree, points inside the tree, whatever other visible links
/// there are. Directories above a link are real, so `..` is safe up to the root; `..` after a name is not, because that
/// name may itself be a link to a higher place.
fn leads_inside(link: &Path, leads_to: &Path) -> bool {
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
            assert!(leads_inside(Path::new(link), Path::new(to)), "{link} -> {to}");
        }
    }

    #[test]
    fn a_link_may_not_lead_out_of_its_tree_and_back() {
        for (link, to) in
            [("a", ".."), ("a", "../x/b"), ("d/a", "../../x"), ("a", "/etc/passwd"), ("a", "d/../..")]
        {
            assert!(!leads_inside(Path::new(link), Path::new(to)), "{link} -> {to}");
        }
    }

    #[test]
    fn what_is_below_a_name_that_begins_with_a_dot_is_hidden() {
        for (path, hidden) in [(".venv/bin/python", true), ("a/.b", true), ("a/b.c", false), ("../a", false)]
        {
            assert_eq!(is_hidden(Path::new(path)), hidden, "{path}");
        }
    }
}
