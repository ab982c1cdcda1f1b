//! Deployed trees, as used by a thread that starts handlers in them ([`deployed`] describes their life).
//!
//! A handler is started in the tree itself, by its own name, so that it keeps its tree whatever is deployed meanwhile.
//! Each launch checks that the tree is still in place, with three fast system calls, and only below a deployed
//! directory. Before the first launch in a tree the instance is told, since it holds the lease.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::route::Kind;
use crate::sys::deployed::{self, LAUNCH, LEASE};
use crate::sys::fdpass::send_one;
use crate::sys::lock::{share_byte, unlock_byte};

/// Trees that are kept open; beyond that all are opened anew.
const OPEN: usize = 64;

/// The trees that a thread has started handlers in.
#[derive(Debug)]
pub struct Trees<'a> {
    /// Socket to the instance.
    instance: Option<BorrowedFd<'a>>,
    known: HashMap<OsString, Rc<Tree>>,
}

#[derive(Debug)]
pub struct Tree {
    name: OsString,
    path: PathBuf,
    /// The link that points to it while it is in place.
    link: PathBuf,
    lock: File,
    told: Cell<bool>,
    /// Our lease, until the instance has been told.
    lease: RefCell<Option<File>>,
}

/// A launch in a tree, which is not removed meanwhile.
#[derive(Debug)]
pub struct Launching(Option<Rc<Tree>>);

/// The result of entering a tree.
#[derive(Debug)]
pub enum Entered {
    Tree(Launching),
    /// The tree was just replaced: resolve the path again.
    Replaced,
}

impl<'a> Trees<'a> {
    /// None yet. `instance` takes locks of them: a message each, with the tree's path.
    pub fn new(instance: Option<BorrowedFd<'a>>) -> Self {
        Self { instance, known: HashMap::new() }
    }

    /// Follows `path`, a directory in the base, to its tree if it is a link to one; `path` becomes the tree's, and a launch
    /// begins there, as `entered` tells. `None` if it is not such a link.
    pub fn enter(&mut self, path: &mut PathBuf, entered: &mut Option<Entered>) -> Option<Kind> {
        let name = deployed::linked(path)?;
        let found = match self.known.get(&name).filter(|tree| tree.link == *path) {
            Some(tree) => Ok(Rc::clone(tree)),
            None => Tree::open(path, &name).map(|tree| self.remember(tree)),
        };
        let launching = match found {
            Ok(tree) => self.enter_again(&tree),
            // It is gone; or it was copied here without its lock, and no one removes it.
            Err(_) => is_in_place(path, &name).then_some(Launching(None)),
        };
        let Some(launching) = launching else {
            *entered = Some(Entered::Replaced);
            return Some(Kind::Missing);
        };
        *entered = Some(Entered::Tree(launching));
        path.set_file_name(name);
        Some(Kind::Directory)
    }

    /// Begins another launch in a tree; `None` when it is no longer in place.
    pub fn enter_again(&mut self, tree: &Rc<Tree>) -> Option<Launching> {
        // Locked before the link is read: a remover reads the link only with this lock.
        let shared = !matches!(share_byte(&tree.lock, LAUNCH), Ok(false));
        let launching = Launching(Some(Rc::clone(tree)));
        if shared && is_in_place(&tree.link, &tree.name) {
            tree.tell(self.instance);
            return Some(launching);
        }
        drop(launching);
        self.known.remove(&tree.name);
        None
    }

    fn remember(&mut self, tree: Tree) -> Rc<Tree> {
        if self.known.len() >= OPEN {
            self.known.clear();
        }
        let tree = Rc::new(tree);
        self.known.insert(tree.name.clone(), Rc::clone(&tree));
        tree
    }
}

impl Tree {
    fn open(link: &Path, name: &OsStr) -> io::Result<Self> {
        let path = link.with_file_name(name);
        let lock = deployed::open_lock(&path)?;
        let (name, link) = (name.to_owned(), link.to_owned());
        Ok(Self { name, path, link, lock, told: Cell::new(false), lease: RefCell::new(None) })
    }

    /// Gives the instance a lease: the lock's other byte, in an open file that is the instance's from now on. While it
    /// is on its way it counts already.
    fn tell(&self, instance: Option<BorrowedFd<'_>>) {
        let Some(instance) = instance.filter(|_| !self.told.get()) else { return };
        let lease = self.lease.take().or_else(|| {
            let lease = deployed::open_lock(&self.path).ok()?;
            share_byte(&lease, LEASE).is_ok_and(|shared| shared).then_some(lease)
        });
        let Some(lease) = lease else { return };
        if send_one(instance, Some(lease.as_fd()), self.path.as_os_str().as_bytes()).is_ok() {
            self.told.set(true);
        } else {
            self.lease.replace(Some(lease)); // the next launch tries again
        }
    }
}

impl Launching {
    /// The tree, where it can be kept for other launches.
    pub fn tree(&self) -> Option<Rc<Tree>> {
        self.0.clone()
    }
}

impl Drop for Launching {
    fn drop(&mut self) {
        if let Some(tree) = &self.0 {
            let _ = unlock_byte(&tree.lock, LAUNCH);
        }
    }
}

fn is_in_place(link: &Path, name: &OsStr) -> bool {
    deployed::linked(link).is_some_and(|found| found == name)
}
