//! Measurements beside the record of the load generator: scoreboard, processes, kernel.
//!
//! Here: what is read once before and once after the load. [`series`] and [`noise`] sample meanwhile, in
//! threads of the lab that cost less than 1 % of what is measured; the server pays for neither.

pub mod noise;
pub mod series;

use super::processes::usage;
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
        Self { workers, kernel: Kernel::read(), server: usage(supervisor) }
    }

    pub fn since(&self, before: &Self) -> (Vec<Worker>, Kernel, Usage) {
        let (now, then) = (self.server, before.server);
        let server = Usage {
            cpu_s: (now.cpu_s - then.cpu_s).max(0.0),
            voluntary_switches: now.voluntary_switches.saturating_sub(then.voluntary_switches),
            involuntary_switches: now.involuntary_switches.saturating_sub(then.involuntary_switches),
        };
        (since(&self.workers, &before.workers), self.kernel.since(before.kernel), server)
    }
}

/// What workers counted since `before`; those that are new count from 0.
fn since(now: &[Counters], before: &[Counters]) -> Vec<Worker> {
    let none = Counters::default();
    let one = |now: &Counters| {
        let then = before.iter().find(|then| then.worker == now.worker).unwrap_or(&none);
        Worker {
            worker: now.worker,
            accepted: now.accepted.saturating_sub(then.accepted),
            wakeups: now.wakeups.saturating_sub(then.wakeups),
            empty_wakeups: now.empty_wakeups.saturating_sub(then.empty_wakeups),
            launched: now.launched.saturating_sub(then.launched),
            launch_failures: now.launch_failures.saturating_sub(then.launch_failures),
            busy_ns: now.busy_ns.saturating_sub(then.busy_ns),
        }
    };
    now.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;
    use crate::lab::run::processes::family;

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
        for pid in family(supervisor.id()) {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
        }
        supervisor.wait().unwrap();
        assert!(counted, "the busy child is not counted");
    }
}
