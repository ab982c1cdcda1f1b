//! What `reuseport-steal` promises beyond the contract: no queue waits for its owner while another worker is
//! idle, and the owner comes first, even if it replaced a dead worker.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::harness::traffic::{begin, counters, signal, state};
use crate::harness::{Sandbox, Server, connect, eventually};

const WORKERS: usize = 4;

fn start(workers: &str, respond: &str) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let server =
        sandbox.start(&["--listener", "reuseport-steal", "-w", workers, "--respond", respond, "-n", "lab"]);
    (sandbox, server)
}

/// A request that occupies its worker.
fn occupy(server: &Server, time: &str) -> TcpStream {
    let mut stream = connect(server.port());
    // In one piece, so that it occupies the acceptor and not the thread for slow clients.
    let request = format!("GET /?occupy={time} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn stolen(server: &Server) -> u64 {
    counters(server).iter().map(|row| row.stolen).sum()
}

fn all_wait(server: &Server) {
    let pids = server.worker_pids();
    eventually("all workers wait", || pids.iter().all(|&pid| state(pid) == 'S'));
}

#[test]
fn connections_queued_for_a_busy_owner_are_served_by_others() {
    let (sandbox, server) = start("4", "sleep:const(1ms)");
    // One is busy for longer than the test lasts, the others long enough for connections to queue up.
    let mut busy = Vec::new();
    for time in ["60s", "1s", "1s", "1s"] {
        busy.push(occupy(&server, time));
        eventually("a worker is occupied", || {
            counters(&server).iter().map(|row| row.open).sum::<u64>() == busy.len() as u64
        });
    }
    let queued: Vec<_> = (0..40).map(|_| begin(&server, "/")).collect();
    assert_eq!(counters(&server).iter().map(|row| row.accepted).sum::<u64>(), WORKERS as u64, "all are busy");
    for client in queued {
        assert_eq!(client.finish().status, 200);
    }
    let later: Vec<_> = (0..40).map(|_| begin(&server, "/")).collect();
    for client in later {
        assert_eq!(client.finish().status, 200);
    }
    let stolen = stolen(&server);
    assert!(stolen > 0);
    let status = sandbox.caffeine(&["-n", "lab", "--status"]).succeeds().stdout;
    assert!(status.contains(&format!(", {stolen} from another worker's queue, ")), "{status}");
    busy[0].set_nonblocking(true).unwrap();
    assert!(busy[0].read(&mut [0]).is_err(), "the occupied one was waited for");
}

#[test]
fn owners_come_first_even_after_a_replacement() {
    let (_sandbox, server) = start("4", "fixed");
    for _ in 0..2 {
        for row in counters(&server) {
            signal(&row, Signal::SIGKILL);
            eventually("it has a successor", || {
                counters(&server).iter().all(|other| other.pid != row.pid && other.state == 2)
            });
        }
        // Each has joined the queue behind the replacements of the others.
        all_wait(&server);
        let before = (stolen(&server), counters(&server));
        for _ in 0..100 {
            assert_eq!(server.get("/").status, 200);
            all_wait(&server);
        }
        assert_eq!(stolen(&server), before.0, "idle owners were passed over");
        let served =
            counters(&server).iter().zip(before.1).all(|(now, before)| now.accepted > before.accepted);
        assert!(served, "{:?}", counters(&server));
    }
}

#[test]
fn many_workers_have_few_empty_wake_ups() {
    let (_sandbox, server) = start("64", "fixed");
    all_wait(&server);
    let empty = || counters(&server).iter().map(|row| row.empty_wakeups).sum::<u64>();
    let mut before = empty();
    eventually("the start is over", || before == std::mem::replace(&mut before, empty()));
    for _ in 0..200 {
        assert_eq!(server.get("/").status, 200);
    }
    assert!(empty() - before <= 20, "{} empty wake-ups for 200 connections", empty() - before);
}
