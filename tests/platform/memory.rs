//! What a process keeps in memory of its program.

use crate::harness::{Sandbox, Server, says};

fn ask(server: &Server, times: usize) {
    for _ in 0..times {
        assert_eq!(server.get("/hello").text(), "hello");
    }
}

/// Pages of files in memory, in kB.
fn of_files(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How much of a library's code is in memory, in kB; `None` if the program is linked without it.
fn of_library(pid: u32, name: &str) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut lines = maps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.contains(name)));
    let resident = lines.find_map(|line| line.strip_prefix("Rss:"))?;
    resident.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn a_worker_drops_the_code_that_only_its_first_requests_needed() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "1"]);
    let worker = server.worker_pids()[0];
    ask(&server, 80);
    let before = of_files(worker);
    ask(&server, 80);
    let after = of_files(worker);
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
