//! A process that outlives the lab by a moment, to kill what the lab could not: the workers of other servers.
//!
//! Our own server dies with the lab and takes its workers along. Others leave theirs behind when they are
//! killed. So the lab tells the guard about each process group that it starts; when the lab is gone, for
//! whatever reason, the pipe between them closes, and the guard kills the remaining groups.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub const ACTION: &str = "guard";

/// The lab's end of the pipe.
#[derive(Debug)]
pub struct Guard(Mutex<Child>);

impl Guard {
    /// Starts this program again as the guard. Call it while [`super::interrupt::Interrupt`] blocks the
    /// signals: the guard inherits the mask, so that Ctrl-C does not end it early.
    pub fn start() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ACTION).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0).current_dir("/").spawn().map(|child| Self(Mutex::new(child)))
    }

    pub fn watch(&self, group: Pid) {
        self.tell('+', group);
    }

    pub fn forget(&self, group: Pid) {
        self.tell('-', group);
    }

    /// A missing guard only matters if the lab is killed too.
    fn tell(&self, sign: char, group: Pid) {
        let mut child = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pipe) = &mut child.stdin {
            let _ = writeln!(pipe, "{sign}{group}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let child = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

/// Runs the guard: waits for the end of its input, then kills the remaining groups.
pub fn run() {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        note(&mut groups, &line);
    }
    for group in groups {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Groups 0 and 1 would be the guard itself and every process.
fn note(groups: &mut BTreeSet<i32>, line: &str) {
    match (line.get(..1), line.get(1..).and_then(|number| number.parse().ok())) {
        (Some("+"), Some(group @ 2..)) => drop(groups.insert(group)),
        (Some("-"), Some(group)) => drop(groups.remove(&group)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_groups_until_they_end_and_never_its_own() {
        let mut groups = BTreeSet::new();
        for line in ["+100", "+200", "-100", "+0", "+1", "+-5", "x", "", "+", "+300x"] {
            note(&mut groups, line);
        }
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), [200]);
    }
}
