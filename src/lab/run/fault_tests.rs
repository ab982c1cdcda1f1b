//! Faults against a process tree of our own: a shell with sleeping children.

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

    fn trouble(&self, text: &str) -> Trouble {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let target = Target {
            supervisor: self.0.id(),
            workers: self.workers(),
            address: nowhere,
            config: PathBuf::new(),
            count: 2,
        };
        Trouble::new(text.parse().unwrap(), target, 5, Instant::now())
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

/// The letter of a process' state in /proc.
fn state(pid: u64) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('-')
}

fn until(trouble: &mut Trouble, what: &str, condition: impl Fn(&Trouble) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition(trouble) {
        assert!(Instant::now() < deadline, "{what}: {trouble:?}");
        trouble.advance();
        std::thread::yield_now();
    }
}

fn victim(trouble: &Trouble) -> u64 {
    trouble.done.as_ref().unwrap().pid
}

#[test]
fn a_stopped_worker_goes_on_after_its_time() {
    let family = Family::new();
    let mut trouble = family.trouble("stop@10ms+30ms");
    assert!(trouble.advance() <= Duration::from_millis(10));
    until(&mut trouble, "not stopped", |t| t.done.is_some() && state(victim(t)) == 'T');
    until(&mut trouble, "not resumed", |t| state(victim(t)) == 'S');
    let done = trouble.finish().unwrap();
    assert_eq!((done.kind.as_str(), done.worker), ("stop", 1));
    assert!(done.at_s >= 0.01 && done.until_s.unwrap() >= done.at_s + 0.03, "{done:?}");
}

#[test]
fn a_stopped_worker_goes_on_when_the_run_ends_before_its_time_or_fails() {
    for fails in [false, true] {
        let family = Family::new();
        let mut trouble = family.trouble("stop@0s+3600s");
        until(&mut trouble, "not stopped", |t| t.done.is_some() && state(victim(t)) == 'T');
        let pid = victim(&trouble);
        if fails {
            drop(trouble);
        } else {
            assert!(trouble.finish().unwrap().until_s.unwrap() < 3600.0);
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
    let mut trouble = family.trouble("kill@0s");
    until(&mut trouble, "not killed", |t| t.done.is_some() && "Z-X".contains(state(victim(t))));
    let done = trouble.finish().unwrap();
    assert!(done.kind == "kill" && done.until_s.is_none() && done.pid > 0, "{done:?}");
    assert_eq!(done.held, Some(0));
}

#[test]
fn a_server_that_is_told_to_end_is_awaited() {
    let mut family = Family::new();
    let mut trouble = family.trouble("end@0s");
    until(&mut trouble, "not told", |t| t.ends_server());
    family.0.wait().unwrap();
    let done = trouble.finish().unwrap();
    assert!(done.note.starts_with("ended within ") && done.until_s.is_some(), "{done:?}");
}

#[test]
fn a_run_that_ends_before_the_fault_has_none() {
    let family = Family::new();
    let mut trouble = family.trouble("kill@3600s");
    assert!(trouble.advance() > Duration::from_secs(3000));
    assert_eq!(trouble.finish(), None);
}

#[test]
fn a_stall_that_nobody_answers_says_so() {
    let family = Family::new();
    let mut trouble = family.trouble("stall@0s+1ms");
    until(&mut trouble, "not over", |t| matches!(t.state, State::Over));
    assert!(trouble.finish().unwrap().note.starts_with("the request failed: "));
}
