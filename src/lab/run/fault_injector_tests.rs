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
        FaultInjector::new(text.parse().unwrap(), target, 5, Instant::now())
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
fn state(pid: u64) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('-')
}

fn until(injector: &mut FaultInjector, what: &str, condition: impl Fn(&FaultInjector) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition(injector) {
        assert!(Instant::now() < deadline, "{what}: {injector:?}");
        injector.advance();
        std::thread::yield_now();
    }
}

fn victim(injector: &FaultInjector) -> u64 {
    injector.done.pid
}

#[test]
fn a_stopped_worker_goes_on_after_its_time() {
    let family = Family::new();
    let mut injector = family.injector("stop@10ms+30ms");
    assert!(injector.advance() <= Duration::from_millis(10));
    until(&mut injector, "not stopped", |t| t.injected && state(victim(t)) == 'T');
    until(&mut injector, "not resumed", |t| state(victim(t)) == 'S');
    let done = injector.finish().unwrap();
    assert_eq!((done.kind.as_str(), done.worker), ("stop", 1));
    assert!(done.at_s >= 0.01 && done.until_s.unwrap() >= done.at_s + 0.03, "{done:?}");
}

#[test]
fn a_stopped_worker_goes_on_when_the_run_ends_before_its_time_or_fails() {
    for fails in [false, true] {
        let family = Family::new();
        let mut injector = family.injector("stop@0s+3600s");
        until(&mut injector, "not stopped", |t| t.injected && state(victim(t)) == 'T');
        let pid = victim(&injector);
        if fails {
            drop(injector);
        } else {
            assert!(injector.finish().unwrap().until_s.unwrap() < 3600.0);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while state(pid) != 'S' {
            assert!(Instant::now() < deadline, "{}", state(pid));
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_killed_worker_is_dead_and_named() {
    let family = Family::new();
    let mut injector = family.injector("kill@0s");
    until(&mut injector, "not killed", |t| t.injected && "Z-X".contains(state(victim(t))));
    let done = injector.finish().unwrap();
    assert!(done.kind == "kill" && done.until_s.is_none() && done.pid > 0, "{done:?}");
    assert_eq!(done.held, Some(0));
}

#[test]
fn a_server_that_is_told_to_end_is_awaited() {
    let mut family = Family::new();
    let mut injector = family.injector("end@0s");
    until(&mut injector, "not told", |t| t.ends_server());
    family.0.wait().unwrap();
    let done = injector.finish().unwrap();
    assert!(done.note.starts_with("ended within ") && done.until_s.is_some(), "{done:?}");
}

#[test]
fn a_run_that_ends_before_the_fault_has_none() {
    let family = Family::new();
    let mut injector = family.injector("kill@3600s");
    assert!(injector.advance() > Duration::from_secs(3000));
    assert_eq!(injector.finish(), None);
}

#[test]
fn a_stall_that_nobody_answers_says_so() {
    let family = Family::new();
    let mut injector = family.injector("stall@0s+1ms");
    until(&mut injector, "not over", |t| matches!(t.state, State::Over));
    assert!(injector.finish().unwrap().note.starts_with("the request failed: "));
}
