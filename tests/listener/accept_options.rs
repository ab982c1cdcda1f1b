//! `--accept-batch`, `--defer-accept`, `--pin` and `--backlog`, at the start and after a reload.

use std::net::{Ipv4Addr, SocketAddr};

use caffeine::sys::sockdiag::SockDiag;
use caffeine::sys::tether;

use crate::harness::traffic::counters;
use crate::harness::{Sandbox, Server, eventually};

fn fixed(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&[&["--respond", "fixed"], arguments].concat());
    (sandbox, server)
}

#[test]
fn defer_accept_decides_whether_a_silent_client_is_accepted() {
    let (_sandbox, server) = fixed(&["-w", "1", "--defer-accept", "0s"]);
    let silent = server.connect();
    eventually("it is accepted", || counters(&server)[0].open == 1);
    drop((silent, server));

    let (_sandbox, server) = fixed(&["-w", "1", "--defer-accept", "120s"]);
    let _silent = server.connect();
    assert_eq!(server.get("/").status, 200);
    assert_eq!(counters(&server)[0].accepted, 1, "only the later client, which sent something");
}

/// The allowed processors of a process, from /proc.
fn processors(pid: u64) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

#[test]
fn pinned_workers_cycle_through_the_allowed_processors() {
    let allowed = tether::processors().unwrap();
    let (_sandbox, server) = fixed(&["-w", "5", "--pin"]);
    for row in counters(&server) {
        let own = allowed[row.worker as usize % allowed.len()];
        assert_eq!(processors(row.pid), own.to_string(), "worker {}", row.worker);
    }
    assert_eq!(processors(server.pid().into()), processors(std::process::id().into()), "the supervisor");

    let (_sandbox, server) = fixed(&["-w", "5"]);
    for row in counters(&server) {
        assert_eq!(processors(row.pid), processors(server.pid().into()), "worker {}", row.worker);
    }
}

#[test]
fn a_pinned_worker_pins_its_handlers() {
    let sandbox = Sandbox::new();
    let script =
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec grep Cpus_allowed_list /proc/self/status\n";
    sandbox.handler("where", script);
    let server = sandbox.start(&["-w", "1", "--pin"]);
    let own = processors(counters(&server)[0].pid);
    assert_eq!(server.get("/where").text(), format!("Cpus_allowed_list:\t{own}\n"));
}

#[test]
fn a_reload_changes_the_backlog() {
    for listener in ["inherited", "reuseport", "reuseport:private"] {
        let sandbox = Sandbox::new();
        let set = |backlog| {
            sandbox.write("c.toml", format!("backlog = {backlog}\nrespond = \"fixed\"\nworkers = 2\n"))
        };
        set(7);
        let server = sandbox.start(&["-n", "lab", "-c", "c.toml", "--listener", listener]);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
        let all_are = |length| {
            let queues = SockDiag::open().unwrap().queues(address).unwrap();
            !queues.is_empty() && queues.iter().all(|queue| queue.limit == length)
        };
        assert!(all_are(7), "{listener}");
        set(9);
        sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        // Private queues of the old generation disappear with it.
        eventually("the queues are longer", || all_are(9));
        assert_eq!(server.get("/").status, 200, "{listener}");
    }
}
