//! Finds handlers in the process table: those that a dead worker did not report, those of a dead keeper, and processes
//! that left their handler's group. Pure: the contents of /proc are an argument.

use std::collections::{HashMap, HashSet};

use nix::unistd::Pid;

use crate::sys::proctable::{Process, lineage};

/// Input of a census.
#[derive(Debug)]
pub struct Census<'a> {
    pub all: &'a [Process],
    /// The supervisor; it adopts handlers whose worker is gone.
    pub supervisor: Pid,
    pub sessions: &'a HashSet<Pid>,
    /// Workers that served before `all` was read. A child of another worker is a rehearsal, not a handler.
    pub serving: &'a HashSet<Pid>,
    /// First processes and groups that are watched already.
    pub watched: &'a HashSet<Pid>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub first: Vec<Process>,
    /// Groups without their first process, with the start time of the oldest member.
    pub groups: HashMap<Pid, u64>,
}

impl Census<'_> {
    /// All processes in the sessions that are not watched.
    pub fn take(&self) -> Found {
        let by_pid: HashMap<Pid, &Process> = self.all.iter().map(|one| (one.pid, one)).collect();
        let parent = |pid: Pid| by_pid.get(&pid).copied();
        let mut found = Found::default();
        for one in self.all {
            if !self.sessions.contains(&one.session) || one.pid == one.session {
                continue;
            }
            if one.parent == one.session && !self.serving.contains(&one.session) {
                continue;
            }
            let watched =
                |one: &Process| self.watched.contains(&one.pid) || self.watched.contains(&one.group);
            if lineage(one, parent).take(self.all.len()).any(watched) {
                continue;
            }
            if is_first(one, self.supervisor) {
                found.first.push(*one);
            } else if one.parent == self.supervisor {
                let oldest = found.groups.entry(one.group).or_insert(one.start);
                *oldest = one.start.min(*oldest);
            }
        }
        found
    }
}

/// Whether a process in a worker's session is the first process of a handler: it was started by a worker and leads a
/// group, or has moved to its worker's group. Others were started or left behind by handlers.
pub fn is_first(one: &Process, supervisor: Pid) -> bool {
    let started_by_worker = one.parent == one.session || one.parent == supervisor;
    started_by_worker && one.pid != one.session && (one.group == one.pid || one.group == one.session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        let [pid, parent, group, session] = [pid, parent, group, session].map(Pid::from_raw);
        Process { pid, parent, group, session, start: pid.as_raw().unsigned_abs().into() }
    }

    fn take(all: &[Process], watched: &[i32]) -> (Vec<i32>, Vec<(i32, u64)>) {
        let set = |pids: &[i32]| pids.iter().map(|&pid| Pid::from_raw(pid)).collect();
        let census = Census {
            all,
            supervisor: Pid::from_raw(1),
            sessions: &set(&[2, 3, 4]),
            serving: &set(&[2]),
            watched: &set(watched),
        };
        let found = census.take();
        let mut groups: Vec<_> = found.groups.iter().map(|(group, start)| (group.as_raw(), *start)).collect();
        groups.sort_unstable();
        (found.first.iter().map(|one| one.pid.as_raw()).collect(), groups)
    }

    #[test]
    fn handlers_of_living_and_dead_workers_are_found() {
        let all = [
            process(1, 0, 1, 1),
            process(2, 1, 2, 2),    // a worker; 3 was one
            process(10, 2, 10, 2),  // its handler
            process(11, 10, 10, 2), // and what that started
            process(12, 11, 12, 2), // in a group of its own
            process(20, 1, 20, 3),  // a handler of the dead one
            process(30, 2, 2, 2),   // left its group for its worker's
            process(40, 1, 90, 3),  // left behind by 90
            process(41, 1, 90, 3),
            process(50, 1, 50, 50), // began a session of its own
            process(4, 1, 4, 4),    // a worker that is not ready
            process(60, 4, 60, 4),  // its rehearsal
        ];
        assert_eq!(take(&all, &[]), (vec![10, 20, 30], vec![(90, 40)]));
        assert_eq!(take(&all, &[10, 90]), (vec![20, 30], vec![]));
    }
}
