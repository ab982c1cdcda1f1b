//! Limits of a control group, as set by containers and systemd: memory and processes. Skipped with a notice
//! where no group can be created (it takes root and a writable hierarchy).

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use nix::sys::signal::{Signal, kill};

use crate::harness::traffic::{counters, oom_points};
use crate::harness::{Sandbox, Server, eventually, is_alive, pid, says, skipped};

/// A group of one controller. Dropping it kills its processes and removes it.
struct Group(PathBuf);

impl Group {
    /// Writes `value` to the file `v1` or, in the unified hierarchy, `v2`. `None` where that is not possible.
    fn new(controller: &str, v1: &str, v2: &str, value: &str) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("caffeine-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let places =
            [(format!("/sys/fs/cgroup/{controller}/{name}"), v1), (format!("/sys/fs/cgroup/{name}"), v2)];
        for (place, file) in places {
            if !Path::new(&place).parent().unwrap().join("cgroup.procs").exists()
                || fs::create_dir(&place).is_err()
            {
                continue;
            }
            let group = Self(place.into());
            if fs::write(group.0.join(file), value).is_ok() {
                // Where it exists: no swap.
                let _ = fs::write(group.0.join("memory.swap.max"), "0");
                return Some(group);
            }
        }
        skipped(format!("no control group can limit {controller} here"));
        None
    }

    /// Moves a supervisor and its workers into the group.
    fn hold(&self, server: &Server) {
        for member in [vec![server.pid()], server.worker_pids()].concat() {
            fs::write(self.0.join("cgroup.procs"), member.to_string()).unwrap();
        }
    }

    fn set(&self, file: &str, value: &str) {
        fs::write(self.0.join(file), value).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        eventually("the group is empty", || {
            let members = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            for member in members.lines() {
                let _ = kill(pid(member.parse().unwrap()), Signal::SIGKILL);
            }
            fs::remove_dir(&self.0).is_ok()
        });
    }
}

/// 64 MiB for a server with one worker and its handlers.
fn short_of_memory() -> Option<(Group, Sandbox, Server)> {
    let group = Group::new("memory", "memory.limit_in_bytes", "memory.max", "67108864")?;
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "1"]);
    group.hold(&server);
    Some((group, sandbox, server))
}

#[test]
fn a_handler_that_exhausts_group_memory_is_killed_without_its_worker() {
    let Some((_group, sandbox, server)) = short_of_memory() else { return };
    let greedy = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nbegun'\nhead -c 200000000 /dev/zero | tail -n 1 | wc -c\n";
    sandbox.handler("greedy", greedy);
    let worker = server.worker_pids()[0];
    let answer = server.get("/greedy").text();
    assert!(answer.starts_with("begun") && !answer.contains("200000000"), "{answer}");
    assert_eq!(server.get("/hello").text(), "hello");
    assert_eq!(server.worker_pids(), [worker]);
}

#[test]
fn bodies_beyond_group_memory_kill_a_worker_but_never_the_supervisor() {
    let Some((_group, _sandbox, server)) = short_of_memory() else { return };
    assert!(oom_points(server.worker_pids()[0]) > oom_points(server.pid()), "a worker is to go first");
    let head = "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n";
    let request = [head.as_bytes(), &[b'x'; 1_000_000]].concat();
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..120 {
        let mut client = server.connect();
        let _ = client.set_write_timeout(Some(std::time::Duration::from_millis(500)));
        let _ = client.write_all(&request);
        crowd.push(client);
    }
    eventually("it could bear no more", || server.log().contains("was killed by signal 9"));
    drop(crowd);
    eventually("there is a successor", || {
        let worker = server.worker_pids()[0];
        worker != 0 && is_alive(worker)
    });
    assert_eq!(server.get("/hello").text(), "hello");
    assert!(is_alive(server.pid()));
}

#[test]
fn at_the_group_process_limit_requests_get_500_and_workers_are_replaced_later() {
    let Some(group) = Group::new("pids", "pids.max", "pids.max", "100") else { return };
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let server = sandbox.start(&["-w", "1"]);
    group.hold(&server);
    assert_eq!(server.get("/hello").text(), "hello");
    let worker = server.worker_pids()[0];
    group.set("pids.max", "1");
    assert_eq!(server.get("/hello").status, 500);
    eventually("the log says why", || {
        server.log().contains("cannot make a process: Resource temporarily unavailable")
    });
    assert_eq!(counters(&server)[0].launch_failures, 1);
    kill(pid(worker), Signal::SIGKILL).unwrap();
    eventually("no successor can be made", || {
        server.log().matches("Resource temporarily unavailable").count() > 1
    });
    assert!(is_alive(server.pid()));
    group.set("pids.max", "100");
    assert_eq!(server.get("/hello").text(), "hello");
    assert_ne!(server.worker_pids(), [worker]);
}
