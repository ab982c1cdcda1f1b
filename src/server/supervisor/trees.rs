//! Leases of deployed trees ([`deployed`] describes their life): the instance holds a lease of each tree in which its
//! workers have started handlers, until the tree has been replaced and nothing runs in it. The supervisor holds the
//! leases because workers come and go.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, getpid};

use crate::instance::trees;
use crate::sys::deployed::{self, LAUNCH};
use crate::sys::fdpass::{self, receive_one};
use crate::sys::lock::is_byte_locked;
use crate::sys::proctable;
use crate::sys::traces::{self, Traces};

/// First pause before checking a replaced tree. It doubles...
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Trees {
    arrivals: OwnedFd,
    leases: HashMap<PathBuf, Lease>,
    /// When to check whether replaced trees are still used.
    due: Option<Instant>,
    pause: Duration,
}

#[derive(Debug)]
struct Lease {
    /// Holds a lock on a byte of the lease file (see [`deployed::LEASE`]).
    lock: File,
    /// When the tree was first seen to be replaced, since boot.
    replaced: Option<Duration>,
}

impl Trees {
    /// Returns no leases, and the socket to which workers send them.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn open() -> io::Result<(Self, OwnedFd)> {
        let (arrivals, entrance) = fdpass::messages()?;
        Ok((Self { arrivals, leases: HashMap::new(), due: None, pause: FIRST_PAUSE }, entrance))
    }

    /// The leases of an earlier program of this process, which [`copies`](Self::copies) made.
    pub fn inherit(arrivals: OwnedFd, leases: Vec<(PathBuf, OwnedFd)>) -> Self {
        let due = (!leases.is_empty()).then(|| Instant::now() + FIRST_PAUSE);
        let lease = |lock: OwnedFd| Lease { lock: lock.into(), replaced: None };
        let leases = leases.into_iter().map(|(path, lock)| (path, lease(lock))).collect();
        Self { arrivals, leases, due, pause: FIRST_PAUSE }
    }

    /// Copies of the end of the socket to which leases are sent, and of all leases.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn copies(&self) -> io::Result<(OwnedFd, Vec<(PathBuf, OwnedFd)>)> {
        let leases =
            self.leases.iter().map(|(path, lease)| Ok((path.clone(), lease.lock.try_clone()?.into())));
        Ok((self.arrivals.try_clone()?, leases.collect::<io::Result<_>>()?))
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrivals.as_fd()
    }

    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Receives leases. The first lease of a new tree implies that another tree was replaced.
    pub fn collect(&mut self) {
        let mut path = [0; libc::PATH_MAX as usize];
        let mut is_new = false;
        while let Ok((length, Some(lock))) = receive_one(self.arrivals.as_fd(), &mut path, false) {
            let path = PathBuf::from(OsStr::from_bytes(&path[..length]));
            self.leases.entry(path).or_insert_with(|| {
                is_new = true;
                Lease { lock: lock.into(), replaced: None }
            });
        }
        if is_new && self.note_replaced() {
            let soon = Instant::now() + FIRST_PAUSE;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
            self.pause = FIRST_PAUSE;
        }
    }

    /// Drops the leases of trees in which nothing runs any more, and returns these trees. `staff` are the instance's
    /// processes that are not handlers.
    pub fn sweep(&mut self, staff: &[Pid]) -> Vec<PathBuf> {
        self.note_replaced();
        let replaced: Vec<PathBuf> = self.replaced().cloned().collect();
        // First the launches under way, then the running processes: later launches are not in these trees.
        let idle = |path: &&PathBuf| {
            let lease = self.leases.get(*path);
            lease.is_some_and(|lease| is_byte_locked(&lease.lock, LAUNCH).is_ok_and(|locked| !locked))
        };
        let idle: Vec<&PathBuf> = replaced.iter().filter(idle).collect();
        let mut unused = Vec::new();
        match traces::of(deployed::PREFIX) {
            Ok(traces) => {
                let youngest_hidden = hidden_handlers(&traces, staff).min();
                for path in idle {
                    let until = self.leases.get(path).and_then(|lease| lease.replaced);
                    let hidden =
                        youngest_hidden.is_some_and(|started| until.is_none_or(|until| started <= until));
                    if !hidden && !traces.lead_to(name(path).as_bytes()) {
                        unused.push(path.clone());
                    }
                }
            }
            Err(error) => tracing::warn!("cannot look for handlers in replaced trees: {error}"),
        }
        unused.iter().for_each(|path| drop(self.leases.remove(path)));
        let any_left = self.replaced().next().is_some();
        self.due = any_left.then(|| Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        unused
    }

    /// Drops all leases, because the instance and its handlers have ended.
    pub fn finish(&mut self) -> Vec<PathBuf> {
        self.leases.drain().map(|(path, _)| path).collect()
    }

    fn replaced(&self) -> impl Iterator<Item = &PathBuf> {
        self.leases.iter().filter(|(_, lease)| lease.replaced.is_some()).map(|(path, _)| path)
    }

    /// Updates which trees are in place. Returns whether one was replaced since the last call.
    fn note_replaced(&mut self) -> bool {
        let bases: BTreeSet<PathBuf> = self.leases.keys().map(|path| base(path).to_owned()).collect();
        let mut found = false;
        for parent in bases {
            let Ok(in_place) = trees::in_place(&parent) else { continue };
            for (path, lease) in self.leases.iter_mut().filter(|(path, _)| base(path) == parent) {
                let replaced = !in_place.contains(name(path));
                found |= replaced && lease.replaced.is_none();
                lease.replaced = replaced.then(|| lease.replaced.unwrap_or_else(traces::since_boot));
            }
        }
        found
    }
}

pub(super) fn base(tree: &Path) -> &Path {
    tree.parent().unwrap_or(Path::new("/"))
}

pub(super) fn name(tree: &Path) -> &OsStr {
    tree.file_name().unwrap_or_default()
}

/// Start times of handlers that /proc does not let us inspect: they may be in any tree that was in place then.
fn hidden_handlers(traces: &Traces, staff: &[Pid]) -> impl Iterator<Item = Duration> {
    let all = if traces.hidden.is_empty() { Vec::new() } else { proctable::processes().unwrap_or_default() };
    let is_handler = move |pid: Pid| {
        let process = all.iter().find(|one| one.pid == pid);
        !staff.contains(&pid) && process.is_some_and(|one| proctable::descends(one, getpid(), &all))
    };
    traces.hidden.iter().filter(move |(pid, _)| is_handler(*pid)).map(|(_, started)| *started)
}
