//! Handlers whose worker has gone, after a reload or a crash: they still belong to the instance.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::handlers::execution::compile;
use crate::harness::traffic::begin;
use crate::harness::{Sandbox, Server, eventually, is_alive, pid};

/// A server with the handler `/long`.
pub fn with_long(arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    long_handler(&sandbox);
    let server = sandbox.start(arguments);
    (sandbox, server)
}

/// A handler that writes its pid to the file `pids` and runs until the file `go` exists.
pub fn long_handler(sandbox: &Sandbox) {
    let script = format!(
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\nbegun '\necho $$ >>'{}'\nuntil [ -e '{}' ]; do sleep 0.02; done\necho ended\n",
        sandbox.path("pids").display(),
        sandbox.path("go").display()
    );
    sandbox.handler("long", script);
}

/// The process ids written by handlers, once there are this many.
pub fn pids(sandbox: &Sandbox, count: usize) -> Vec<u32> {
    let mut pids = Vec::new();
    eventually("the handlers have told their processes", || {
        let text = std::fs::read_to_string(sandbox.path("pids")).unwrap_or_default();
        pids = text.lines().filter_map(|line| line.parse().ok()).collect();
        pids.len() >= count
    });
    pids
}

/// Replaces the workers by a reload and waits until the old ones have exited.
pub fn reload(server: &Server) {
    let before = server.worker_pids();
    server.signal(Signal::SIGHUP);
    eventually("the old workers are gone", || {
        let now = server.worker_pids();
        before.iter().all(|old| !is_alive(*old) && !now.contains(old)) && !now.contains(&0)
    });
}

/// Kills the only worker and waits for its replacement.
pub fn kill_worker(server: &Server) {
    let worker = server.worker_pids()[0];
    nix::sys::signal::kill(pid(worker), Signal::SIGKILL).unwrap();
    eventually("it has a successor", || ![0, worker].contains(&server.worker_pids()[0]));
}

#[test]
fn a_stop_waits_for_orphaned_handlers() {
    for lose_worker in [reload as fn(&Server), kill_worker] {
        let (sandbox, mut server) = with_long(&["-w", "1", "--grace", "1h"]);
        let first = begin(&server, "/long");
        pids(&sandbox, 1);
        lose_worker(&server);
        let second = begin(&server, "/long");
        let running = pids(&sandbox, 2);
        let workers = server.worker_pids();
        server.signal(Signal::SIGTERM);
        eventually("the workers have left", || workers.iter().all(|&worker| !is_alive(worker)));
        assert!(is_alive(server.pid()) && running.iter().all(|&handler| is_alive(handler)));
        std::fs::write(sandbox.path("go"), "").unwrap();
        for pending in [first, second] {
            assert_eq!(pending.finish().text(), "begun ended\n");
        }
        assert_eq!(server.wait().0, Some(0));
    }
}

#[test]
fn orphaned_handlers_are_killed_after_the_grace_period() {
    for lose_worker in [reload as fn(&Server), kill_worker] {
        let (sandbox, mut server) = with_long(&["-w", "1", "--grace", "500ms"]);
        let _pending = begin(&server, "/long");
        pids(&sandbox, 1);
        lose_worker(&server);
        let _another = begin(&server, "/long");
        let running = pids(&sandbox, 2);
        let begun = Instant::now();
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().0, Some(0));
        assert!(begun.elapsed() >= Duration::from_millis(500));
        assert!(running.iter().all(|&handler| !is_alive(handler)));
        assert!(server.log().contains("grace period over"), "{}", server.log());
    }
}

#[test]
fn a_stop_does_not_wait_for_background_children_of_handlers() {
    let sandbox = Sandbox::new();
    let left = sandbox.path("pids");
    let script = format!(
        "#!/bin/sh\nsleep 600 >/dev/null 2>&1 &\necho $! >'{}'\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n",
        left.display()
    );
    sandbox.handler("leaves", script);
    let mut server = sandbox.start(&["-w", "1", "--grace", "1h"]);
    assert_eq!(server.get("/leaves").status, 200);
    let left = pids(&sandbox, 1)[0];
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().0, Some(0));
    assert!(is_alive(left));
    nix::sys::signal::kill(pid(left), Signal::SIGKILL).unwrap();
}

#[test]
fn a_handler_that_joins_its_workers_group_or_has_a_strange_name_is_killed_by_a_stop() {
    let source = r#"
        #include <stdio.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        int main(void) {
            setpgid(0, getppid());
            prctl(PR_SET_NAME, "\xff\xfe) Z 1 (");
            printf("HTTP/1.1 200 OK\r\n\r\n%d\n", getpid());
            fflush(stdout);
            for (;;) pause();
        }
    "#;
    for arguments in [&["-w", "1", "--grace", "0s"], &["-w", "1", "--grace", "1s"]] {
        let sandbox = Sandbox::new();
        compile(&sandbox, "cc", source, "c", "escapes");
        let mut server = sandbox.start(arguments);
        let pending = begin(&server, "/escapes");
        eventually("it runs", || server.log().contains("outcome=launched"));
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().0, Some(0));
        let text = pending.finish().text();
        assert!(!is_alive(text.trim().parse().unwrap()), "{arguments:?}");
    }
}
