//! Faults against a process tree of the test: a shell with sleeping children.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// A shell with two sleeping children, which end with it.
struct Family(Child);

impl Family {
    fn new() -> Self {
        let script = "sleep 60 & a=$!; sleep 60 & b=$!; trap 'kill -CONT $a $b; kill $a $b; exit' TERM; echo ok; wait; \
                      wait; while :; do sleep 1; done";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(shell)
    }

    fn workers(&self) -> Workers {
        Workers::ChildrenOf { pid: self.0.id(), count: 2 }
    }

    fn injector(&self, text: &str) -> FaultInjector {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let target = Target {
            supervisor: self.0.id(),
            workers: self.workers(),
            address: nowhere,
            config: PathBuf::new(),
            count: 2,
        };
        FaultInjector::start(vec![text.parse().unwrap()], target, 5, Instant::now()).unwrap()
    }

    fn until_one_is_stopped(&self) {
        until("not stopped", || self.workers().now().iter().any(|(_, pid)| state(*pid) == 'T'));
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for (_, pid) in self.workers().now() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The state of a process in /proc.
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('-')
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn only(injector: FaultInjector) -> FaultRecord {
    let mut all = injector.finish();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_stopped_worker_goes_on_after_its_time() {
    let family = Family::new();
    let workers = family.workers().now();
    let injector = family.injector("stop@10ms+300ms");
    family.until_one_is_stopped();
    until("all go on", || workers.iter().all(|(_, pid)| state(*pid) == 'S'));
    let done = only(injector);
    assert_eq!((done.kind.as_str(), done.worker), ("stop", 1));
    assert!(done.at_s >= 0.01 && done.until_s.unwrap() >= done.at_s + 0.3, "{done:?}");
}

#[test]
fn a_stopped_worker_goes_on_when_the_run_ends_before_its_time_or_fails() {
    for fails in [false, true] {
        let family = Family::new();
        let workers = family.workers().now();
        let injector = family.injector("stop@0s+3600s");
        family.until_one_is_stopped();
        if fails {
            drop(injector);
        } else {
            assert!(only(injector).until_s.unwrap() < 3600.0);
        }
        until("all go on", || workers.iter().all(|(_, pid)| state(*pid) == 'S'));
    }
}

#[test]
fn a_killed_worker_is_dead_and_named() {
    let family = Family::new();
    let workers = family.workers().now();
    let injector = family.injector("kill@0s");
    until("not killed", || workers.iter().any(|(_, pid)| "ZX-".contains(state(*pid))));
    let done = only(injector);
    assert!(done.kind == "kill" && done.until_s.is_none() && done.pid > 0, "{done:?}");
    assert_eq!(done.held, Some(0));
}

#[test]
fn a_server_that_is_told_to_end_is_awaited() {
    let mut family = Family::new();
    let injector = family.injector("end@0s");
    until("not told", || injector.ends_server());
    family.0.wait().unwrap();
    let done = only(injector);
    assert!(done.note.starts_with("ended within ") && done.until_s.is_some(), "{done:?}");
}

#[test]
fn a_run_that_ends_before_the_fault_has_none() {
    let family = Family::new();
    assert_eq!(family.injector("kill@3600s").finish(), []);
}

#[test]
fn a_stall_that_nobody_answers_says_so() {
    let family = Family::new();
    assert!(only(family.injector("stall@0s+1ms")).note.starts_with("the request failed: "));
}
