//! What a process keeps in memory of its program.

use crate::harness::traffic::state;
use crate::harness::{Sandbox, Server, eventually, says};

fn ask(server: &Server, times: usize) {
    for _ in 0..times {
        assert_eq!(server.get("/hello").text(), "hello");
    }
}

fn maps(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap()
}

fn rss(line: &str) -> Option<u64> {
    line.strip_prefix("Rss:")?.trim().trim_end_matches(" kB").parse().ok()
}

/// How much of the program is in memory, in kB.
fn of_program(pid: u32) -> u64 {
    let maps = maps(pid);
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let begins = |line: &&str| line.ends_with(program.to_str().unwrap());
    let mut lines = maps.lines();
    let mut total = 0;
    while lines.find(begins).is_some() {
        total += lines.find_map(rss).unwrap();
    }
    total
}

/// How much of a library's code is in memory, in kB; `None` if the program is linked without it.
fn of_library(pid: u32, name: &str) -> Option<u64> {
    let maps = maps(pid);
    maps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.contains(name))).find_map(rss)
}

#[test]
fn a_worker_drops_the_code_that_only_its_first_requests_needed() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "1"]);
    let worker = server.worker_pids()[0];
    ask(&server, 80);
    let before = of_program(worker);
    // Right after it has dropped its code, it has what waits for the next connection.
    let after = (0..80).map(|_| {
        ask(&server, 1);
        eventually("the worker waits", || state(worker) == 'S');
        of_program(worker)
    });
    let after = after.min().unwrap();
    assert!(after < before, "{before} kB, then {after} kB");
}

#[test]
fn libraries_that_only_the_start_needs_are_dropped() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "1", "--handler-timeout", "9s"]);
    ask(&server, 160);
    let keeper = u32::try_from(server.scoreboard().keeper().unwrap().pid).unwrap();
    for pid in [server.pid(), keeper, server.worker_pids()[0]] {
        // It unwinds the stack of a panic.
        assert!(matches!(of_library(pid, "libgcc_s"), None | Some(0)), "process {pid}");
    }
}
