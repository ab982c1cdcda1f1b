//! `--accept-batch`, `--defer-accept`, `--pin` and `--backlog`, at the start and after a reload.

use std::net::{Ipv4Addr, SocketAddr};

use caffeine::listener::Choice;
use caffeine::sys::sockdiag::SockDiag;
use caffeine::sys::tether;
use nix::sys::signal::Signal;

use crate::harness::traffic::{begin, counters, signal, state};
use crate::harness::{Sandbox, Server, eventually, skipped};

fn fixed(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&[&["--respond", "fixed"], arguments].concat());
    (sandbox, server)
}

/// How often the only worker of a strategy wakes up for eight waiting connections.
/// Wake-ups that found a connection. The supervisor may cause one more, because a worker was stopped.
fn wakeups_for_eight(listener: &str, batch: &str) -> u64 {
    let (_sandbox, server) = fixed(&["-w", "1", "--listener", listener, "--accept-batch", batch]);
    let worker = counters(&server).remove(0);
    signal(&worker, Signal::SIGSTOP);
    eventually("it is stopped", || state(worker.pid as u32) == 'T');
    let clients: Vec<_> = (0..8).map(|_| begin(&server, "/")).collect();
    signal(&worker, Signal::SIGCONT);
    clients.into_iter().for_each(|client| assert_eq!(client.finish().status, 200));
    let row = &counters(&server)[0];
    row.wakeups - row.empty_wakeups
}

#[test]
fn a_batch_is_accepted_with_one_wake_up() {
    // A multishot accept of io_uring delivers without a wake-up.
    let woken = |choice: &Choice| choice.entry.batches && choice.promises().calls.contains(&"epoll_wait");
    for choice in Choice::all().filter(woken) {
        let listener = choice.to_string();
        if let Err(reason) = choice.available() {
            skipped(format!("{listener}: {reason}"));
            continue;
        }
        let wakeups = ["1", "4", "16"].map(|batch| wakeups_for_eight(&listener, batch));
        assert_eq!(wakeups, [8, 2, 1], "{listener}");
    }
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
