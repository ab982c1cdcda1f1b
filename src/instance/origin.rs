//! Identifies an instance's process beyond its number: the file `process` beside the pid file.
//!
//! A pid is valid within one pid namespace on one machine, until it is reused. The file records the namespace, the boot
//! and the start time. The instance also holds a record lock on it (see [`crate::sys::lock`]), for which the kernel
//! reports the holder's pid as seen by the asking process: that needs no /proc and works across namespaces.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::Pid;

use crate::sys::pidfd::{Pidfd, start_time};
use crate::sys::proctable::is_own_namespace;

/// Largest file that is read.
const MOST_BYTES: u64 = 512;

/// The contents of the file; unknown fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The number in the process's own pid namespace.
    pub pid: u32,
    /// Inode of that namespace.
    pub namespace: Option<u64>,
    /// When it started, in clock ticks since the boot.
    pub start: Option<u64>,
    /// Name of that boot.
    pub boot: Option<String>,
}

impl Origin {
    /// The calling process.
    pub fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            namespace: std::fs::metadata("/proc/self/ns/pid").ok().map(|namespace| namespace.ino()),
            start: start_of(pid),
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .ok()
                .map(|boot| boot.trim().to_owned()),
        }
    }

    /// Replaces the file's contents.
    pub fn write(&self, mut file: &File) -> io::Result<()> {
        let mut text = format!("pid {}\n", self.pid);
        if let Some(namespace) = self.namespace {
            text += &format!("pid-namespace {namespace}\n");
        }
        if let Some(start) = self.start {
            text += &format!("start-time {start}\n");
        }
        if let Some(boot) = &self.boot {
            text += &format!("boot {boot}\n");
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    }

    /// Parses what [`Self::write`] wrote. Missing or malformed fields are unknown.
    pub fn read(file: &File) -> io::Result<Self> {
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text)?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let number = |key: &str| value(key)?.parse().ok();
        Ok(Self {
            pid: value("pid").and_then(|pid| pid.parse().ok()).unwrap_or(0),
            namespace: number("pid-namespace"),
            start: number("start-time"),
            boot: value("boot").map(str::to_owned),
        })
    }

    /// Where it runs, if certainly not where `own` runs: words that follow "it runs".
    pub fn elsewhere(&self, own: &Self) -> Option<String> {
        let differ = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.as_ref().zip(ours.as_ref()).is_some_and(|(theirs, ours)| theirs != ours)
        };
        if differ(&self.boot, &own.boot) {
            return Some(format!("on another machine, where its pid is {}", self.pid));
        }
        let (theirs, ours) = (self.namespace?, own.namespace?);
        (theirs != ours).then(|| self.in_namespace())
    }

    /// Words that follow "it runs".
    pub fn in_namespace(&self) -> String {
        let number = self.namespace.map(|inode| format!(" ({inode})")).unwrap_or_default();
        format!("in another pid namespace{number}, such as a container's, where its pid is {}", self.pid)
    }

    /// Whether the process `pid` of this namespace is the one that wrote it: number, namespace, boot and start time agree.
    pub fn is(&self, pid: u32, own: &Self) -> bool {
        let known = self.namespace.is_some() && self.boot.is_some() && self.start.is_some();
        known
            && self.pid == pid
            && self.namespace == own.namespace
            && self.boot == own.boot
            && start_of(pid) == self.start
    }
}

/// When a process of this pid namespace began; `None` where /proc does not tell.
fn start_of(pid: u32) -> Option<u64> {
    is_own_namespace().then(|| start_time(Pid::from_raw(pid.cast_signed())))?
}

/// Whether the process holds a lock on the file by one of its open descriptions, as /proc/PID/fdinfo tells. That needs the
/// permission to look into the process; without it the answer is no.
pub(super) fn holds_lock(pid: u32, file: &File) -> bool {
    let Ok(inode) = file.metadata().map(|data| data.ino()) else { return false };
    if !is_own_namespace() {
        return false;
    }
    let infos = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten();
    infos
        .filter_map(|info| std::fs::read_to_string(info.ok()?.path()).ok())
        .any(|info| info.lines().any(|line| is_lock_on(line, inode)))
}

/// A line such as `lock: 1: OFDLCK  ADVISORY  WRITE -1 08:01:1234 0 0`.
fn is_lock_on(line: &str, inode: u64) -> bool {
    let Some(lock) = line.strip_prefix("lock:") else { return false };
    let on = |word: &str| word.rsplit_once(':').is_some_and(|(_, number)| number.parse() == Ok(inode));
    lock.contains("OFDLCK") && lock.split_whitespace().any(on)
}

/// The process of this pid namespace that has the number now, if any.
pub(super) fn open(pid: u32) -> io::Result<Option<Pidfd>> {
    match Pidfd::open(pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let file = tempfile::tempfile().unwrap();
        let own = Origin::own();
        own.write(&file).unwrap();
        (&file).rewind().unwrap();
        assert_eq!(Origin::read(&file).unwrap(), own);
        assert!(own.is(std::process::id(), &own) && own.elsewhere(&own).is_none());
        let other = Origin { namespace: Some(1), ..own.clone() };
        assert!(!other.is(own.pid, &own));
        assert!(other.elsewhere(&own).unwrap().contains("in another pid namespace (1)"));
        let older = Origin { start: own.start.map(|start| start - 1), ..own.clone() };
        assert!(!older.is(own.pid, &own) && older.elsewhere(&own).is_none());
    }

    #[test]
    fn a_lock_is_known_by_the_inode_of_its_file() {
        let line = "lock:\t1: OFDLCK  ADVISORY  WRITE -1 08:01:1234 0 0";
        assert!(is_lock_on(line, 1234) && !is_lock_on(line, 234) && !is_lock_on("ino:\t1234", 1234));
    }
}
