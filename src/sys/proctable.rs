//! The process table in /proc: members of sessions, and how to kill them all.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Most passes over the table to kill processes; only a process that forks faster than it is killed needs more.
const PASSES: usize = 100;
/// Pause between two passes.
const PAUSE: Duration = Duration::from_millis(1);

/// A process that is not a zombie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    /// Parent.
    pub parent: Pid,
    pub group: Pid,
    pub session: Pid,
    /// When it was started, in clock ticks since the machine's start: with its number it names a process for good.
    pub start: u64,
}

/// All visible processes. This takes two descriptors.
///
/// # Errors
/// There is no /proc, or a resource such as a descriptor is lacking: then no part of the table is returned.
pub fn processes() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match fs::read(format!("/proc/{pid}/stat")) {
            Ok(stat) => found.extend(parse(pid, &String::from_utf8_lossy(&stat))),
            Err(error) if cannot_be_seen(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The process has ended, or belongs to another user and is hidden (hidepid of proc(5)).
fn cannot_be_seen(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH | libc::EACCES | libc::EPERM))
}

/// The name stands in parentheses and may hold anything, parentheses too: what follows the last one counts (proc(5)).
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    // A process whose first thread has ended is in the same state as a zombie as long as others run.
    let threads = || fields.get(17)?.parse().ok();
    if matches!(*fields.first()?, "Z" | "X") && threads().unwrap_or(0) < 2 {
        return None;
    }
    let number = |index: usize| Some(Pid::from_raw(fields.get(index)?.parse().ok()?));
    Some(Process {
        pid: Pid::from_raw(pid),
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// Whether /proc numbers processes as this process does: a mount of another pid namespace tells of others.
pub fn is_own_namespace() -> bool {
    let own = std::process::id().to_string();
    fs::read_link("/proc/self").is_ok_and(|number| number.as_os_str() == own.as_str())
}

/// Whether a signal or a debugger has stopped the process. Where that cannot be seen, it is not.
pub fn is_suspended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

/// Whether `process` descends from `ancestor`; `all` has those in between.
pub fn descends(process: &Process, ancestor: Pid, all: &[Process]) -> bool {
    let find = |pid| all.iter().find(|candidate| candidate.pid == pid);
    lineage(process, find).take(all.len()).any(|one| one.parent == ancestor)
}

/// A process, its parent, the parent of that and so on. In a table read while processes come and go it may go round for ever.
pub fn lineage<'a>(
    process: &'a Process,
    find: impl Fn(Pid) -> Option<&'a Process>,
) -> impl Iterator<Item = &'a Process> {
    std::iter::successors(Some(process), move |one| find(one.parent))
}

/// Of each of these numbers: the process, the members of the process group, and their descendants, whatever group or session
/// these are in by now.
pub fn families<'a>(all: &'a [Process], numbers: &[Pid]) -> HashMap<Pid, Vec<&'a Process>> {
    let numbers: HashSet<Pid> = numbers.iter().copied().collect();
    let by_number: HashMap<Pid, &Process> = all.iter().map(|one| (one.pid, one)).collect();
    let mut families: HashMap<Pid, Vec<&Process>> = HashMap::new();
    for process in all {
        let mut lineage = lineage(process, |pid| by_number.get(&pid).copied()).take(all.len());
        let number = |one: &Process| [one.group, one.pid].into_iter().find(|number| numbers.contains(number));
        if let Some(number) = lineage.find_map(number) {
            families.entry(number).or_default().push(process);
        }
    }
    families
}

/// Kills (`SIGKILL`) every process that `chosen` picks from the table, and those that they start meanwhile.
///
/// # Errors
/// Those of [`processes`]; or a process may not be killed: the others are all the same.
pub fn kill_all(chosen: impl Fn(&Process, &[Process]) -> bool) -> io::Result<()> {
    let mut outcome = Ok(());
    for _ in 0..PASSES {
        let all = processes()?;
        let mut left = 0;
        for victim in all.iter().filter(|process| chosen(process, &all)) {
            match kill(victim.pid, Signal::SIGKILL) {
                Ok(()) => left += 1,
                Err(Errno::ESRCH) => {}
                Err(error) => outcome = Err(error.into()),
            }
        }
        if left == 0 {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name_is() {
        let pid = Pid::from_raw;
        let expected = Process { pid: pid(7), parent: pid(1), group: pid(5), session: pid(4), start: 99 };
        let living = "7 (a) b (c) S 1 5 4 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 99 0";
        assert_eq!(parse(7, living), Some(expected));
        assert_eq!(parse(7, "7 (sh) Z 1 5 4 0"), None);
        let dead = |threads| format!("7 (sh) Z 1 5 4 0 -1 4227084 0 0 0 0 0 0 0 0 20 0 {threads} 0 99");
        assert_eq!(parse(7, &dead(1)), None);
        assert_eq!(parse(7, &dead(2)), Some(expected), "its first thread alone has ended");
        assert_eq!(parse(7, "7 (sh)"), None);
    }

    #[test]
    fn a_family_is_a_group_with_all_that_descends_from_it() {
        let process = |pid, parent, group, session| {
            let [pid, parent, group, session] = [pid, parent, group, session].map(Pid::from_raw);
            Process { pid, parent, group, session, start: 0 }
        };
        // 1 has the groups 10 and 20; 12 has begun a group, 13 a session; 40 and 41 are each other's parents.
        let all = [
            process(10, 1, 10, 1),
            process(11, 10, 10, 1),
            process(12, 11, 12, 1),
            process(13, 12, 13, 13),
            process(20, 1, 20, 1),
            process(30, 1, 30, 1),
            process(40, 41, 40, 1),
            process(41, 40, 41, 1),
        ];
        let families = families(&all, &[10, 20, 40].map(Pid::from_raw));
        let of =
            |group| families[&Pid::from_raw(group)].iter().map(|one| one.pid.as_raw()).collect::<Vec<_>>();
        assert_eq!((of(10), of(20), of(40)), (vec![10, 11, 12, 13], vec![20], vec![40, 41]));
        assert_eq!(families.len(), 3);
    }

    #[test]
    fn this_process_is_in_the_table_and_descends_from_its_parent() {
        let all = processes().unwrap();
        let own = all.iter().find(|process| process.pid == nix::unistd::getpid()).unwrap();
        assert_eq!((own.parent, own.group), (nix::unistd::getppid(), nix::unistd::getpgrp()));
        assert!(descends(own, own.parent, &all) && !descends(own, own.pid, &all));
    }
}
