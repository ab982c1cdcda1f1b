//! Measurements beside the record of the load generator: scoreboard, processes, kernel.
//!
//! Here: what is read once before and once after the load. [`series`] and [`noise`] sample meanwhile, in
//! threads of the lab that cost less than 1 % of what is measured; the server pays for neither.

pub mod noise;
pub mod series;
pub mod tree;

use procfs::process::Process;

use crate::lab::results::data::{Usage, Worker};
use crate::measure::machine::Kernel;
use crate::scoreboard::{Counters, Scoreboard};

#[derive(Debug)]
pub struct Moment {
    workers: Vec<Counters>,
    kernel: Kernel,
    server: Usage,
}

impl Moment {
    /// `supervisor` is the first process. The server's usage is that of all processes under it: a dispatcher or a keeper
    /// works too, and has no row among the workers.
    pub fn read(board: Option<&Scoreboard>, supervisor: u32) -> Self {
        let workers = board.map(Scoreboard::snapshot).unwrap_or_default();
        let all = family(i32::try_from(supervisor).unwrap_or(i32::MAX));
        let server = all.into_iter().filter_map(usage).fold(Usage::default(), |sum, one| Usage {
            cpu_s: sum.cpu_s + one.cpu_s,
            voluntary_switches: sum.voluntary_switches + one.voluntary_switches,
            involuntary_switches: sum.involuntary_switches + one.involuntary_switches,
        });
        Self { workers, kernel: Kernel::read(), server }
    }

    pub fn since(&self, before: &Self) -> (Vec<Worker>, Kernel, Usage) {
        let workers = self.workers.iter().map(|now| {
            let none = Counters::default();
            let then = before.workers.iter().find(|then| then.worker == now.worker).unwrap_or(&none);
            Worker {
                worker: now.worker,
                accepted: now.accepted.saturating_sub(then.accepted),
                wakeups: now.wakeups.saturating_sub(then.wakeups),
                empty_wakeups: now.empty_wakeups.saturating_sub(then.empty_wakeups),
                launched: now.launched.saturating_sub(then.launched),
                launch_failures: now.launch_failures.saturating_sub(then.launch_failures),
                busy_ns: now.busy_ns.saturating_sub(then.busy_ns),
            }
        });
        let (now, then) = (self.server, before.server);
        let server = Usage {
            cpu_s: (now.cpu_s - then.cpu_s).max(0.0),
            voluntary_switches: now.voluntary_switches.saturating_sub(then.voluntary_switches),
            involuntary_switches: now.involuntary_switches.saturating_sub(then.involuntary_switches),
        };
        (workers.collect(), self.kernel.since(before.kernel), server)
    }
}

/// Of all threads of a process.
fn usage(pid: i32) -> Option<Usage> {
    let mut sum = Usage::default();
    for task in Process::new(pid).ok()?.tasks().ok()?.flatten() {
        sum.cpu_s += task.schedstat().map_or(0.0, |s| s.sum_exec_runtime as f64 / 1e9);
        if let Ok(status) = task.status() {
            sum.voluntary_switches += status.voluntary_ctxt_switches.unwrap_or(0);
            sum.involuntary_switches += status.nonvoluntary_ctxt_switches.unwrap_or(0);
        }
    }
    Some(sum)
}

/// A process and its descendants. Children are listed with the thread that created them.
fn family(first: i32) -> Vec<i32> {
    let mut found = vec![first];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn the_servers_usage_includes_processes_that_are_not_workers() {
        let folder = tempfile::tempdir().unwrap();
        let board = Scoreboard::create(&folder.path().join("scoreboard"), 2).unwrap();
        // The shell stays, and its child is busy.
        let mut supervisor = Command::new("sh").args(["-c", "while :; do :; done & wait"]).spawn().unwrap();
        let used = || Moment::read(Some(&board), supervisor.id()).server.cpu_s;
        let counted = (0..2000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            used() > 0.05
        });
        for pid in family(supervisor.id() as i32) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        supervisor.wait().unwrap();
        assert!(counted, "the busy child is not counted");
    }
}
