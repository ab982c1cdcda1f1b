//! Faults that an instance must survive with bounded losses.

use std::os::unix::fs::MetadataExt;

use caffeine::scoreboard::Scoreboard;
use nix::sys::signal::Signal;

use crate::harness::traffic::{begin, counters, signal, under_load};
use crate::harness::{Sandbox, eventually, says};

#[test]
fn a_handler_that_floods_its_stderr_does_not_block_the_supervisor() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    sandbox
        .handler("noisy", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\nexec >&-\nexec yes noise >&2\n");
    let mut server = sandbox.start(&["-n", "lab", "-w", "2"]);
    (0..4).for_each(|_| drop(server.get("/noisy")));
    eventually("the flood has begun", || server.log().contains("noise"));
    let row = counters(&server).swap_remove(0);
    signal(&row, Signal::SIGKILL);
    eventually("the worker has a successor", || {
        counters(&server)[0].pid != row.pid && counters(&server)[0].state == 2
    });
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    server.signal(Signal::SIGQUIT);
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn the_scoreboard_is_allocated_when_it_is_created() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-w", "2"]);
    let file = std::fs::metadata(server.folder().scoreboard()).unwrap();
    assert!(file.blocks() * 512 >= file.len(), "a hole in the file is SIGBUS on a full disk");
}

#[test]
fn a_truncated_scoreboard_loses_only_counters() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    for listener in ["inherited", "round-robin", "reuseport-steal", "least-loaded"] {
        let server =
            sandbox.start(&["-n", listener, "-w", "2", "--max-handlers", "50", "--listener", listener]);
        assert_eq!(server.get("/hello").text(), "hello");
        let workers = server.worker_pids();
        let file = std::fs::OpenOptions::new().write(true).open(server.folder().scoreboard()).unwrap();
        for turn in 1..=3 {
            file.set_len(0).unwrap();
            for _ in 0..10 {
                assert_eq!(server.get("/hello").text(), "hello", "{listener}");
            }
            eventually("the log says so", || server.log().matches("was truncated").count() == turn);
            eventually("it can be read", || Scoreboard::open(&server.folder().scoreboard()).is_ok());
            assert_eq!(server.worker_pids(), workers, "{listener}: the same workers go on");
            let rows = counters(&server);
            assert!(rows.iter().all(|row| row.state == 2 && row.open < 20 && row.running < 20), "{rows:?}");
        }
        sandbox.caffeine(&["-n", listener, "--status"]).succeeds();
        sandbox.caffeine(&["-n", listener, "--reload"]).succeeds();
        assert_eq!(server.get("/hello").text(), "hello", "{listener}");
        server.stop();
    }
}

#[test]
fn handlers_that_outlive_their_worker_count_until_they_exit() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let pids = sandbox.path("pids");
    let long = format!(
        "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\necho $$ >>'{}'\nexec sleep 60\n",
        pids.display()
    );
    sandbox.handler("long", long);
    let server = sandbox.start(&["-n", "lab", "-w", "1", "--max-handlers", "2", "--grace", "0s"]);
    let _clients = [begin(&server, "/long"), begin(&server, "/long")];
    eventually("both run", || counters(&server)[0].running == 2);
    assert_eq!(server.get("/hello").status, 503);
    sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
    assert_eq!(server.get("/hello").status, 503);
    for handler in crate::handlers::orphans::pids(&sandbox, 2) {
        nix::sys::signal::kill(crate::harness::pid(handler), Signal::SIGKILL).unwrap();
    }
    eventually("there is a place", || server.get("/hello").status == 200);
}

#[test]
fn clients_up_to_max_handlers_never_get_503() {
    let sandbox = Sandbox::new();
    sandbox
        .handler("hello", "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n");
    let server = sandbox.start(&["-w", "1", "--max-handlers", "2"]);
    let tally =
        under_load(&server, 2, || eventually("some were served", || counters(&server)[0].launched > 100));
    assert_eq!(tally.lost(), 0, "{tally:?}, {:?}", counters(&server));
}

#[test]
fn a_stop_without_workers_still_serves_queued_connections() {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let mut server = sandbox.start(&["-n", "lab", "-w", "1"]);
    // Killed repeatedly until the delay before its replacement is long enough to stop in it.
    eventually("the pause is long", || {
        let row = counters(&server).swap_remove(0);
        if row.pid != 0 && row.state == 2 {
            signal(&row, Signal::SIGKILL);
        }
        server.log().contains("next attempt in 1600 ms")
    });
    let clients: Vec<_> = (0..5).map(|_| begin(&server, "/hello")).collect();
    server.signal(Signal::SIGTERM);
    for client in clients {
        assert_eq!(client.finish().text(), "hello");
    }
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn a_reload_that_needs_too_many_rows_is_refused_and_requests_are_served() {
    let sandbox = Sandbox::new();
    let config = |workers: usize| {
        sandbox.write(
            "lab.toml",
            format!("workers = {workers}\nlistener = \"reuseport\"\nrespond = \"fixed\"\n"),
        )
    };
    let path = config(2);
    let server = sandbox.start(&["-n", "lab", "--config", path.to_str().unwrap()]);
    config(1000);
    sandbox.caffeine(&["-n", "lab", "--reload"]).fails(1, "the scoreboard has 255 rows");
    assert!(server.log().contains("the scoreboard has 255 rows"), "{}", server.log());
    (0..40).for_each(|_| assert_eq!(server.get("/").status, 200));
}
