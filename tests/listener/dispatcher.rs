//! The process that serves a strategy beside the workers, tested with the dispatcher: it dies, is suspended,
//! reloaded and stopped like a worker, and no passed connection waits for a worker that never takes it.

use std::io::Write;
use std::net::TcpStream;

use caffeine::scoreboard::Counters;
use nix::sys::signal::Signal;

use crate::harness::traffic::{begin, counters, signal, state, under_load};
use crate::harness::{Sandbox, Server, connect, eventually, is_alive};

const HELLO: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";
const STRATEGIES: [&str; 2] = ["dispatch", "least-loaded"];

fn start(listener: &str) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", HELLO);
    let server = sandbox.start(&["--listener", listener, "-w", "4", "-n", "lab"]);
    (sandbox, server)
}

fn dispatcher(server: &Server) -> Counters {
    let mut dispatcher = None;
    eventually("there is a dispatcher", || {
        dispatcher = server.scoreboard().auxiliaries().into_iter().find(|row| row.state == 2);
        dispatcher.is_some()
    });
    dispatcher.unwrap()
}

fn pid_of(row: &Counters) -> u32 {
    u32::try_from(row.pid).unwrap()
}

/// Waits until a dispatcher other than `old` serves.
fn successor(server: &Server, old: &Counters) -> Counters {
    let mut new = old.clone();
    eventually("it has a successor", || {
        let running = server.scoreboard().auxiliaries().into_iter().filter(|row| row.state == 2);
        new = running.max_by_key(|row| row.pid != old.pid).unwrap_or_else(|| old.clone());
        new.pid != old.pid
    });
    new
}

#[test]
fn the_dispatcher_is_listed_and_counts_passed_connections() {
    let (sandbox, server) = start("dispatch");
    (0..8).for_each(|_| assert_eq!(server.get("/hello").status, 200));
    assert_eq!(dispatcher(&server).accepted, 8);
    assert_eq!(counters(&server).iter().map(|row| row.accepted).collect::<Vec<_>>(), [2; 4]);
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    let pid = dispatcher(&server).pid.to_string();
    let line = status.lines().find(|line| line.contains(&pid)).unwrap_or_else(|| panic!("{status}"));
    assert!(line.trim_start().starts_with('-') && line.contains("running"), "{status}");
    assert!(status.contains("accepted 8,"), "what it passed is not counted twice: {status}");
}

#[test]
fn a_killed_dispatcher_loses_one_connection_at_most_and_is_replaced() {
    for listener in STRATEGIES {
        let (_sandbox, server) = start(listener);
        const KILLS: usize = 3;
        let tally = under_load(&server, 6, || {
            for _ in 0..KILLS {
                let old = dispatcher(&server);
                signal(&old, Signal::SIGKILL);
                let new = successor(&server, &old);
                let before = new.accepted;
                eventually("the successor passes connections on", || dispatcher(&server).accepted > before);
            }
        });
        assert!(tally.lost() <= KILLS, "{listener}: {tally:?}");
        assert_eq!(tally.refused(), 0, "{listener}");
        assert!(server.log().contains("dispatcher (pid "), "{}", server.log());
    }
}

#[test]
fn a_suspended_dispatcher_is_replaced_without_loss() {
    for listener in STRATEGIES {
        let (_sandbox, server) = start(listener);
        let tally = under_load(&server, 6, || {
            for _ in 0..3 {
                let old = dispatcher(&server);
                signal(&old, Signal::SIGSTOP);
                let new = successor(&server, &old);
                eventually("the successor passes connections on", || dispatcher(&server).accepted > 0);
                assert_ne!(new.pid, old.pid);
                eventually("the old one goes on and ends", || !is_alive(pid_of(&old)));
            }
        });
        assert_eq!((tally.lost(), tally.refused()), (0, 0), "{listener}: {tally:?}");
    }
}

#[test]
fn a_stop_with_a_suspended_dispatcher_serves_waiting_connections() {
    let (_sandbox, mut server) = start("dispatch");
    let workers = counters(&server);
    workers.iter().for_each(|row| signal(row, Signal::SIGSTOP));
    let clients: Vec<_> = (0..20).map(|_| begin(&server, "/hello")).collect();
    let dispatcher = dispatcher(&server);
    // A connection in its hands would stay there while it is suspended, so it must have none.
    eventually("all workers are busy, and it waits", || state(pid_of(&dispatcher)) == 'S');
    server.signal(Signal::SIGTERM);
    signal(&dispatcher, Signal::SIGSTOP);
    workers.iter().for_each(|row| signal(row, Signal::SIGCONT));
    for client in clients {
        assert_eq!(client.finish().body, b"hello\n");
    }
    // The suspended dispatcher was resumed.
    assert_eq!(server.wait().0, Some(0));
}

/// A request that occupies its worker for longer than the test lasts.
fn occupy(server: &Server) -> TcpStream {
    let mut stream = connect(server.port());
    stream.write_all(b"GET /?occupy=60s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

#[test]
fn no_connection_waits_for_a_busy_worker_while_another_is_idle() {
    for listener in STRATEGIES {
        let sandbox = Sandbox::new();
        let server = sandbox.start(&["--listener", listener, "-w", "4", "--respond", "sleep:const(2ms)"]);
        let mut busy = Vec::new();
        for n in 1..4 {
            busy.push(occupy(&server));
            let occupied = || counters(&server).iter().map(|row| row.open).sum::<u64>() == n;
            eventually("a worker is occupied", occupied);
        }
        // More than the idle worker takes at once, so that some are passed to busy ones.
        let clients: Vec<_> = (0..40).map(|_| begin(&server, "/")).collect();
        for client in clients {
            assert_eq!(client.finish().status, 200, "{listener}");
        }
        for stream in busy {
            stream.set_nonblocking(true).unwrap();
            let answered = std::io::Read::read(&mut &stream, &mut [0]);
            assert!(answered.is_err(), "{listener}: the occupied ones were waited for");
        }
    }
}

#[test]
fn connections_left_by_one_generation_are_served_by_the_next() {
    for (listener, ends) in STRATEGIES.into_iter().flat_map(|listener| [(listener, true), (listener, false)])
    {
        let sandbox = Sandbox::new();
        let server =
            sandbox.start(&["--listener", listener, "-w", "1", "-n", "lab", "--respond", "sleep:const(2ms)"]);
        let only = counters(&server).remove(0);
        let _occupying = occupy(&server);
        eventually("the worker is occupied", || counters(&server)[0].open == 1);
        let waiting = begin(&server, "/");
        eventually("the dispatcher has passed it on", || dispatcher(&server).accepted == 2);
        signal(&only, Signal::SIGSTOP);
        eventually("it is stopped", || state(pid_of(&only)) == 'T');
        sandbox.caffeine(&["-n", "lab", "--reload"]).succeeds();
        assert_eq!(server.get("/").status, 200, "the next generation serves");
        if ends {
            signal(&only, Signal::SIGKILL);
        }
        assert_eq!(waiting.finish().status, 200, "{listener}, its worker ends: {ends}");
    }
}
