//! Configured limits: on handlers, on connections, on slow clients. Each test exceeds the limit for real.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::handlers::execution::compile;
use crate::harness::traffic::{begin, half_a_request};
use crate::harness::{Response, Sandbox, Server, eventually, is_alive, read_some, says};
use crate::http::statuses::assert_own;

fn with_script(script: &str, arguments: &[&str]) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", says("hello"));
    let pids = sandbox.path("pids");
    let script = script.replace("PIDS", pids.to_str().unwrap());
    sandbox.handler("script", format!("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\n\\r\\n'\n{script}\n"));
    let server = sandbox.start(arguments);
    (sandbox, server)
}

/// The process ids written by the script, once there are this many.
fn pids(sandbox: &Sandbox, count: usize) -> Vec<u32> {
    let mut pids = Vec::new();
    eventually("the script has told its processes", || {
        let text = std::fs::read_to_string(sandbox.path("pids")).unwrap_or_default();
        pids = text.lines().filter_map(|line| line.parse().ok()).collect();
        pids.len() >= count
    });
    pids
}

fn gone(pids: &[u32]) {
    eventually("all of them are gone", || pids.iter().all(|&pid| !is_alive(pid)));
}

#[test]
fn a_handler_runs_within_its_limits() {
    let limits = "cpu=7s,memory=512M,processes=5000,files=50";
    let (_sandbox, server) = with_script("cat /proc/self/limits", &["--handler-limit", limits]);
    for text in [server.get("/script").text(), server.post("/script", b"body").text()] {
        let limit = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(limit("Max cpu time").as_deref(), Some("7 8"), "{text}");
        assert_eq!(limit("Max address space").as_deref(), Some("536870912 536870912"), "{text}");
        assert_eq!(limit("Max processes").as_deref(), Some("5000 5000"), "{text}");
        assert_eq!(limit("Max open files").as_deref(), Some("50 50"), "{text}");
    }
}

#[test]
fn a_handler_that_exceeds_a_limit_dies_without_its_worker() {
    let (sandbox, server) =
        with_script("echo $$ >>PIDS; while :; do :; done", &["-w", "1", "--handler-limit", "cpu=1s"]);
    let workers = server.worker_pids();
    assert_eq!(server.get("/script").text(), "", "it spins until it is ended");
    gone(&pids(&sandbox, 1));
    assert_eq!(server.get("/hello").text(), "hello");
    assert_eq!(server.worker_pids(), workers);
    let python = "exec python3 -c 'bytearray(1 << 30)' 2>&1";
    let (_sandbox, server) = with_script(python, &["--handler-limit", "memory=256MiB"]);
    assert!(server.get("/script").text().contains("MemoryError"));
}

#[test]
fn a_handler_that_kills_its_group_does_not_kill_a_worker() {
    for script in ["kill 0", "kill -9 0", "sleep 60 & kill -HUP 0; wait", "trap 'kill 0' EXIT; exit 3"] {
        let (_sandbox, server) = with_script(script, &["-w", "1"]);
        let workers = server.worker_pids();
        for _ in 0..2 {
            server.get("/script");
            server.post("/script", b"body");
        }
        assert_eq!(server.get("/hello").text(), "hello");
        assert_eq!(server.worker_pids(), workers, "{script}");
        assert!(!server.log().contains("ERROR"), "{script}: {}", server.log());
    }
}

#[test]
fn a_handler_timeout_kills_the_whole_process_group() {
    for script in [
        "sleep 600 & echo $! >>PIDS; echo $$ >>PIDS; wait",
        "(trap '' TERM ALRM; sleep 600; sleep 600) & echo $! >>PIDS; echo $$ >>PIDS; trap '' TERM ALRM; sleep 600; sleep 600",
        // The first process has already exited.
        "sleep 600 & echo $! >>PIDS; echo $$ >>PIDS",
        // Its own process group, and its own session.
        "echo $$ >>PIDS; timeout 600 sh -c 'echo $$ >>PIDS; sleep 600; sleep 600'",
        "echo $$ >>PIDS; setsid sh -c 'echo $$ >>PIDS; trap \"\" TERM; sleep 600; sleep 600'; sleep 600",
    ] {
        let (sandbox, server) = with_script(script, &["-w", "1", "--handler-timeout", "1s"]);
        let begun = Instant::now();
        let pending = begin(&server, "/script");
        let pids = pids(&sandbox, 2);
        assert_eq!(pending.finish().status, 200, "{script}");
        assert!(begun.elapsed() >= Duration::from_millis(900), "{script}: {:?}", begun.elapsed());
        gone(&pids);
        eventually("the log says so", || server.log().contains("handler exceeded handler-timeout"));
        assert_eq!(server.get("/hello").text(), "hello", "{script}");
    }
}

#[test]
fn a_handler_whose_main_thread_has_exited_is_still_killed() {
    let source = r#"
        #include <pthread.h>
        #include <signal.h>
        #include <stdio.h>
        #include <unistd.h>
        static void *rest(void *unused) { for (;;) pause(); return unused; }
        int main(void) {
            pthread_t thread;
            signal(SIGALRM, SIG_IGN);
            pthread_create(&thread, NULL, rest, NULL);
            printf("HTTP/1.1 200 OK\r\n\r\n");
            fflush(stdout);
            pthread_exit(NULL);
        }
    "#;
    for arguments in [["--handler-timeout", "1s"], ["--grace", "1s"]] {
        let sandbox = Sandbox::new();
        compile(&sandbox, "cc", source, "c", "threads");
        let server = sandbox.start(&[&["-w", "1"][..], &arguments].concat());
        let mut client = server.connect();
        client.write_all(b"GET /threads HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        client.read_exact(&mut [0; 19]).unwrap();
        if arguments[0] == "--grace" {
            drop(server);
        }
        assert_eq!(read_some(&mut client, &mut [0]), 0, "{arguments:?}: no process holds the connection");
    }
}

#[test]
fn an_immediate_stop_kills_process_groups_of_handlers_and_of_orphans() {
    let (sandbox, mut server) = with_script("sleep 600 & echo $! >>PIDS; echo $$ >>PIDS; wait", &["-w", "1"]);
    let _first = begin(&server, "/script");
    pids(&sandbox, 2);
    let worker = server.worker_pids()[0];
    nix::sys::signal::kill(crate::harness::pid(worker), Signal::SIGKILL).unwrap();
    eventually("it has a successor", || {
        !matches!(server.worker_pids()[0], 0) && server.worker_pids()[0] != worker
    });
    let _second = begin(&server, "/script");
    let pids = pids(&sandbox, 4);
    assert!(pids.iter().all(|&pid| is_alive(pid)));
    server.signal(Signal::SIGQUIT);
    assert_eq!(server.wait().0, Some(0));
    gone(&pids);
}

#[test]
fn handlers_gain_no_privileges_unless_allowed() {
    let script = "grep NoNewPrivs /proc/self/status";
    for (arguments, expected) in
        [(&[][..], "1"), (&["--allow-setuid"], "0"), (&["--allow-setuid=false"], "1")]
    {
        let (_sandbox, server) = with_script(script, arguments);
        assert_eq!(server.get("/script").text().split_whitespace().last(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn beyond_max_connections_slow_clients_get_503_and_fast_ones_are_served() {
    let (_sandbox, server) = with_script("", &["-w", "2", "--max-connections", "10"]);
    let open = || server.scoreboard().snapshot().iter().map(|row| row.open).sum::<u64>();
    let mut held: Vec<TcpStream> = (0..10).map(|_| half_a_request(&server)).collect();
    eventually("all are held", || open() == 10);
    for _ in 0..4 {
        let mut bytes = Vec::new();
        half_a_request(&server).read_to_end(&mut bytes).unwrap();
        let refused = Response::parse(&bytes);
        assert_own(&refused, 503, "one too many");
        assert!(refused.header("retry-after").is_some());
        assert_eq!(server.get("/hello").text(), "hello", "a whole request needs no place");
    }
    held.truncate(5);
    eventually("there is room again", || open() == 5);
    let mut late = half_a_request(&server);
    eventually("it is held", || open() == 6);
    late.write_all(b"t: a\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    late.read_to_end(&mut bytes).unwrap();
    assert_eq!(Response::parse(&bytes).status, 404);
}

#[test]
fn a_body_below_the_minimum_rate_gets_408_however_steady() {
    let (_sandbox, server) =
        with_script("exec cat", &["-w", "1", "--body-timeout", "1s", "--min-rate", "2000"]);
    let head = "POST /script HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n";
    let trickle = |size: usize| {
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            let mut left = 3000;
            while left > 0 && writer.write_all(&vec![b'x'; size.min(left)]).is_ok() {
                left -= size.min(left);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes); // data arriving after the end may cause a reset
        writer.join().unwrap();
        Response::parse(&bytes)
    };
    let begun = Instant::now();
    assert_own(&trickle(1), 408, "20 bytes a second");
    assert!(begun.elapsed() < Duration::from_secs(20), "the whole of it would have taken 150 s");
    assert_eq!(trickle(150).text().len(), 3000, "3000 bytes a second");
}

#[test]
fn an_idle_kept_alive_connection_is_closed_without_a_response() {
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["--respond", "fixed", "--idle-timeout", "300ms", "--header-timeout", "1h"]);
    let mut kept = server.connect();
    for _ in 0..2 {
        kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(read_some(&mut kept, &mut [0; 1000]) > 0);
    }
    assert_eq!(read_some(&mut kept, &mut [0; 10]), 0);
    assert!(server.raw(b"").is_empty(), "nor is one that never asked");
    // A client that has begun a request has the time for a head.
    let mut asking = half_a_request(&server);
    std::thread::sleep(Duration::from_millis(600));
    asking.write_all(b"t: a\r\n\r\n").unwrap();
    assert!(read_some(&mut asking, &mut [0; 1000]) > 0);
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_its_handler_forever() {
    let (sandbox, server) =
        with_script("echo $$ >>PIDS; exec cat /dev/zero", &["-w", "1", "--send-timeout", "1s"]);
    let _greedy = begin(&server, "/script");
    let pids = pids(&sandbox, 1);
    gone(&pids);
    assert_eq!(server.get("/hello").text(), "hello");
}

/// Bytes that a client has not acknowledged, once the number is stable (/proc/net/tcp).
fn kept_for(client: &TcpStream) -> usize {
    let [local, peer] =
        [client.peer_addr(), client.local_addr()].map(|end| format!(":{:04X}", end.unwrap().port()));
    let now = || -> Option<usize> {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let mut rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row[1].ends_with(&local) && row[2].ends_with(&peer))?;
        usize::from_str_radix(row[4].split(':').next()?, 16).ok()
    };
    let mut kept = 0;
    eventually("no more is written", || {
        let before = std::mem::replace(&mut kept, now().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(40));
        kept > 0 && kept == before
    });
    kept
}

#[test]
fn little_is_buffered_for_a_client_that_reads_slowly() {
    let (_sandbox, server) = with_script("exec cat /dev/zero", &["-w", "1"]);
    let slow = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    slow.set_recv_buffer_size(4096).unwrap();
    slow.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], server.port())).into()).unwrap();
    let mut slow = TcpStream::from(slow);
    slow.write_all(b"GET /script HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // Without the limit it would be 2.5 MB over loopback.
    let kept = kept_for(&slow);
    assert!((50_000..250_000).contains(&kept), "{kept} bytes");
}

#[test]
fn nonsensical_limits_are_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    for (arguments, text) in [
        (["--handler-limit", "cpu"], "cpu=10s"),
        (["--handler-limit", "cpu=0s"], "cpu"),
        (["--handler-limit", "cpu=10"], "no unit"),
        (["--handler-limit", "speed=10s"], "cpu, memory, processes, files"),
        (["--handler-limit", "memory=1k"], "memory"),
        (["--handler-limit", "files=2"], "files"),
        (["--handler-limit", "processes=none"], "processes"),
        (["--handler-limit", "cpu=1s,cpu=2s"], "twice"),
        (["--idle-timeout", "0s"], "idle-timeout"),
        (["--min-rate", "fast"], "'fast'"),
        (["--log-size", "10k"], "log-size must be 65536 to"),
        (["--max-per-client", "20000000"], "max-per-client must be 0 to"),
    ] {
        sandbox.caffeine(&arguments).fails(2, text);
    }
}
