//! Document responses survive their worker, a reload and a stop, are cut and counted when the keeper dies, and obey the
//! limits of handlers.

use std::sync::atomic::Ordering::SeqCst;

use nix::sys::signal::{Signal, kill};

use super::{dechunked, go, long_document, serving, text};
use crate::handlers::orphans::{kill_worker, pids, reload};
use crate::harness::traffic::{Pending, begin, under_load};
use crate::harness::{Sandbox, Server, eventually, is_alive, pid, skipped};
use crate::limits::exhaustion::start_within;

fn relaying(server: &Server) -> u64 {
    server.scoreboard().header().relaying.load(SeqCst)
}

fn cut(server: &Server) -> u64 {
    server.scoreboard().header().cut.load(SeqCst)
}

/// A response of `/long` that has passed the keeper in part.
fn begun(server: &Server) -> Pending {
    let pending = begin(server, "/long");
    eventually("it has begun", || pending.has_answer());
    pending
}

/// Kills the keeper and waits for its replacement.
fn kill_keeper(server: &Server) {
    let keeper = || server.scoreboard().keeper().map_or(0, |row| row.pid);
    let old = keeper();
    kill(pid(u32::try_from(old).unwrap()), Signal::SIGKILL).unwrap();
    eventually("it has a successor", || ![0, old].contains(&keeper()));
}

#[test]
fn a_response_survives_its_worker_and_a_reload() {
    for strike in [kill_worker as fn(&Server), reload] {
        let sandbox = Sandbox::new();
        long_document(&sandbox, "long", r"A: b\n\n");
        let server = serving(&sandbox, &[]);
        let pending = begun(&server);
        strike(&server);
        go(&sandbox);
        assert_eq!(text(&pending.finish()), "begun ended\n");
        eventually("it is over", || relaying(&server) == 0 && server.scoreboard().handlers() == 0);
        assert_eq!(cut(&server), 0);
    }
}

#[test]
fn a_stop_with_a_response_under_way_does_not_blame_the_kernel() {
    if !kernel_tells_ends() {
        return skipped("the kernel is older than 6.15 and does not report how handlers end");
    }
    let sandbox = Sandbox::new();
    long_document(&sandbox, "long", r"A: b\n\n");
    let mut server = serving(&sandbox, &["--log-level", "DEBUG"]);
    let pending = begun(&server);
    server.signal(Signal::SIGTERM);
    eventually("the workers have ended", || {
        server.worker_pids().iter().all(|&one| one == 0 || !is_alive(one))
    });
    go(&sandbox);
    assert_eq!(text(&pending.finish()), "begun ended\n");
    assert_eq!(server.wait().0, Some(0));
    let log = server.log();
    assert!(log.contains("outcome=") && !log.contains("does not report how handlers end"), "{log}");
}

fn kernel_tells_ends() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let numbers: Vec<u32> = release.split(['.', '-']).take(2).map(|part| part.parse().unwrap()).collect();
    numbers >= vec![6, 15]
}

#[test]
fn under_load_reloads_and_a_stop_lose_no_response() {
    let sandbox = Sandbox::new();
    let page = super::prints(r"Content-Length: 6\n\nhello\n");
    sandbox.handler("page", page);
    // Each request also passes through a local redirect.
    sandbox.handler("hello", super::prints(r"Location: /page\n\n"));
    let mut server = sandbox.start(&["-w", "2", "--response", "document", "--max-handlers", "100"]);
    let tally = under_load(&server, 6, || (0..3).for_each(|_| reload(&server)));
    assert_eq!((tally.lost(), tally.refused()), (0, 0));
    assert_eq!(cut(&server), 0);
    eventually("all are counted off", || server.scoreboard().handlers() == 0 && relaying(&server) == 0);
    sandbox.handler("hello", super::prints(r"Content-Length: 6\n\nhello\n"));
    let supervisor = server.pid();
    let tally = under_load(&server, 6, || {
        server.signal(Signal::SIGTERM);
        eventually("it has stopped", || !is_alive(supervisor));
    });
    assert_eq!(tally.lost(), 0);
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn a_response_survives_reloads_to_native_and_back() {
    let sandbox = Sandbox::new();
    long_document(&sandbox, "long", r"A: b\n\n");
    sandbox.handler("nph-hello", crate::harness::says("hello"));
    let config = sandbox.write("c.toml", "response = \"document\"\n");
    let server = sandbox.start(&["-w", "1", "-c", config.to_str().unwrap()]);
    let pending = begun(&server);
    sandbox.write("c.toml", "response = \"native\"\n");
    reload(&server);
    assert_eq!(server.get("/nph-hello").text(), "hello");
    sandbox.write("c.toml", "response = \"document\"\n");
    reload(&server);
    go(&sandbox);
    assert_eq!(text(&pending.finish()), "begun ended\n");
    assert_eq!(text(&server.get("/long")), "begun ended\n");
    assert_eq!(cut(&server), 0);
    sandbox.write("c.toml", "response = \"native\"\n");
    reload(&server);
    eventually("no keeper is left", || server.scoreboard().keeper().is_none());
    server.stop();
}

#[test]
fn a_stop_waits_for_responses_within_the_grace_period() {
    let sandbox = Sandbox::new();
    long_document(&sandbox, "long", r"A: b\n\n");
    let mut server = serving(&sandbox, &["--grace", "1h"]);
    let pending = begun(&server);
    let worker = server.worker_pids()[0];
    server.signal(Signal::SIGTERM);
    eventually("the worker has left", || !is_alive(worker));
    go(&sandbox);
    assert_eq!(text(&pending.finish()), "begun ended\n");
    assert_eq!(server.wait().0, Some(0));
}

#[test]
fn a_stop_waits_for_a_client_that_reads_slowly_and_not_longer_than_the_grace_period() {
    let sandbox = Sandbox::new();
    let zeros = super::zeros(&sandbox, 10_000_000);
    let script =
        format!("#!/bin/sh\nprintf 'Content-Length: 10000000\\n\\n'\nexec cat '{}'\n", zeros.display());
    sandbox.handler("large", script);
    for (grace, whole) in [("1h", true), ("300ms", false)] {
        let mut server = serving(&sandbox, &["--grace", grace]);
        let pending = begin(&server, "/large");
        eventually("it has begun", || pending.has_answer());
        let worker = server.worker_pids()[0];
        server.signal(Signal::SIGTERM);
        eventually("the worker has left", || !is_alive(worker));
        if whole {
            assert_eq!(pending.finish().body.len(), 10_000_000);
            assert_eq!(server.wait().0, Some(0));
        } else {
            assert_eq!(server.wait().0, Some(0));
            assert!(pending.finish().body.len() < 10_000_000);
        }
    }
}

#[test]
fn the_death_of_the_keeper_cuts_documents_and_nothing_else() {
    let sandbox = Sandbox::new();
    long_document(&sandbox, "long", r"A: b\n\n");
    long_document(&sandbox, "nph-long", r"HTTP/1.1 200 OK\r\n\r\n");
    let server = serving(&sandbox, &[]);
    let (document, native) = (begin(&server, "/long"), begin(&server, "/nph-long"));
    let running = pids(&sandbox, 2);
    eventually("it is under way", || document.has_answer() && relaying(&server) == 1);
    kill_keeper(&server);
    let response = document.finish();
    assert_eq!(dechunked(&response.body), (b"begun ".to_vec(), false), "the client can tell");
    assert_eq!((cut(&server), relaying(&server)), (1, 0));
    assert!(server.log().contains("1 responses were cut off when the keeper ended"), "{}", server.log());
    go(&sandbox);
    assert_eq!(native.finish().text(), "begun ended\n");
    eventually("their programs have ended", || running.iter().all(|&one| !is_alive(one)));
    assert_eq!(text(&server.get("/long")), "begun ended\n");
    server.stop();
}

#[test]
fn responses_outlive_the_supervisor() {
    let sandbox = Sandbox::new();
    long_document(&sandbox, "long", r"A: b\n\n");
    let server = serving(&sandbox, &[]);
    let pending = begin(&server, "/long");
    let handler = pids(&sandbox, 1)[0];
    let keeper = u32::try_from(server.scoreboard().keeper().unwrap().pid).unwrap();
    eventually("it is under way", || pending.has_answer());
    let worker = server.worker_pids()[0];
    server.signal(Signal::SIGKILL);
    eventually("the worker has ended", || !is_alive(worker));
    assert!(is_alive(keeper) && is_alive(handler));
    go(&sandbox);
    assert_eq!(text(&pending.finish()), "begun ended\n");
    eventually("nothing is left", || !is_alive(keeper) && !is_alive(handler));
}

#[test]
fn a_killed_program_leaves_a_response_that_is_visibly_cut() {
    let sandbox = Sandbox::new();
    sandbox.handler("crashes", "#!/bin/sh\nprintf 'A: b\\n\\nhalf'\nkill -SEGV $$\n");
    sandbox.handler("fails", "#!/bin/sh\nprintf 'A: b\\n\\nwhole'\nexit 3\n");
    let server = serving(&sandbox, &[]);
    assert_eq!(text(&server.get("/fails")), "whole");
    let response = server.get("/crashes");
    eventually("both have ended", || server.scoreboard().handlers() == 0 && relaying(&server) == 0);
    if server.log().contains("this kernel does not report") {
        return crate::harness::skipped("the kernel does not report how processes end");
    }
    assert_eq!(dechunked(&response.body), (b"half".to_vec(), false));
    assert_eq!(cut(&server), 1);
    assert!(
        server.log().contains("outcome=cut bytes=4 signal=11 reason=\"the handler was killed\""),
        "{}",
        server.log()
    );
    let status = sandbox.caffeine(&["-n", server.name(), "--status"]).succeeds().stdout;
    assert!(status.contains("documents: 0 under way, 2 ended (2xx 2), 1 cut"), "{status}");
}

#[test]
fn a_handler_timeout_ends_a_response() {
    let sandbox = Sandbox::new();
    sandbox.handler("silent", "#!/bin/sh\nexec sleep 600\n");
    sandbox.handler("endless", "#!/bin/sh\nprintf 'A: b\\n\\nbegun'\nexec sleep 600\n");
    let server = serving(&sandbox, &["--handler-timeout", "1s"]);
    let (silent, endless) = (begin(&server, "/silent"), begin(&server, "/endless"));
    let silent = silent.finish();
    assert_eq!(silent.status, 504, "{silent:?}");
    assert_eq!(dechunked(&endless.finish().body), (b"begun".to_vec(), false));
    eventually("all are counted off", || server.scoreboard().handlers() == 0);
}

#[test]
fn a_client_that_does_not_read_holds_a_slot_until_the_timeout() {
    let sandbox = Sandbox::new();
    let zeros = super::zeros(&sandbox, 50_000_000);
    sandbox.handler(
        "large",
        format!("#!/bin/sh\nprintf 'A: b\\n\\n'\nexec head -c 8000000 '{}'\n", zeros.display()),
    );
    sandbox.handler("hello", super::prints(r"A: b\n\nhello"));
    let server =
        serving(&sandbox, &["--max-handlers", "1", "--handler-timeout", "2s", "--send-timeout", "1h"]);
    let pending = begin(&server, "/large");
    eventually("it has begun", || pending.has_answer());
    assert_eq!(server.get("/hello").status, 503);
    eventually("there is a place", || server.get("/hello").status == 200);
    drop(pending);
    eventually("none is left", || relaying(&server) == 0);
}

#[test]
fn with_few_descriptors_every_response_arrives() {
    let sandbox = Sandbox::new();
    sandbox.handler("page", "#!/bin/sh\nprintf 'A: b\\n\\nbegun '\nsleep 0.2\necho ended\n");
    let server = start_within(&sandbox, 64, &["-w", "1", "--response", "document", "--defer-accept", "5s"]);
    let clients: Vec<_> = (0..80).map(|_| begin(&server, "/page")).collect();
    for client in clients {
        assert_eq!(text(&client.finish()), "begun ended\n");
    }
    eventually("all are counted off", || server.scoreboard().handlers() == 0 && relaying(&server) == 0);
}
