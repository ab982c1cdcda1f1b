//! The contract of the listener layer, tested with every strategy: see `src/listener/mod.rs`. Those with one socket keep it over
//! a unix socket too.

mod alone;
mod batches;
mod calls;
mod chaos;
mod each;
mod leaving;
mod lost_wake_ups;
mod order;
mod random;

use std::net::TcpStream;

use caffeine::listener::{Choice, Loss, Spread, Wait};
use caffeine::scoreboard::Counters;
use nix::sys::signal::Signal;

use crate::harness::traffic::{begin, counters, half_a_request, signal, state, under_load};
use crate::harness::{Sandbox, Server, eventually};
pub use each::{Listener, everywhere, number, over_tcp};

const WORKERS: usize = 4;
const HELLO: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";
const SLOW: &str =
    "#!/bin/sh\nsleep 1\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";

fn fixed(listener: &Listener) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    let server = listener.start(&sandbox, &["--respond", "fixed", "-w", "4"]);
    (sandbox, server)
}

fn with_handlers(listener: &Listener) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", HELLO);
    sandbox.handler("slow", SLOW);
    let server = listener.start(&sandbox, &["-w", "4"]);
    (sandbox, server)
}

fn accepted(server: &Server) -> Vec<u64> {
    counters(server).iter().map(|row| row.accepted).collect()
}

/// Connections per worker for `n` sequential requests, each made when all workers wait again: a client
/// has its response a moment before the worker is back in the queue.
fn spread_of(server: &Server, n: usize) -> Vec<u64> {
    let before = accepted(server);
    let pids = server.worker_pids();
    // `inherited-delay` sleeps (in ppoll) before it waits.
    let waits = |pid| state(pid) == 'T' || blocked_in(pid).is_some_and(|call| call != libc::SYS_ppoll);
    let all_wait = || eventually("all workers wait", || pids.iter().all(|&pid| waits(pid)));
    all_wait();
    for _ in 0..n {
        assert_eq!(server.get("/hello").status, 200);
        all_wait();
    }
    accepted(server).iter().zip(before).map(|(after, before)| after - before).collect()
}

fn assert_spread(choice: &Choice, counts: &[u64]) {
    let name = choice.to_string();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    match choice.promises().spread {
        Spread::Turn => assert!(most - least <= 1, "{name}: no exact turn: {counts:?}"),
        // Within 6 standard deviations of a binomial share: beyond, by chance, once in 24 million checks.
        Spread::Hash => {
            let (n, p) = (counts.iter().sum::<u64>() as f64, 1.0 / counts.len() as f64);
            let (mean, deviation) = (n * p, (n * p * (1.0 - p)).sqrt());
            let fair = counts.iter().all(|&count| (count as f64 - mean).abs() <= 6.0 * deviation);
            assert!(fair, "{name}: not the spread of a fair hash: {counts:?}");
        }
        // `order` tells these two apart.
        Spread::One | Spread::Latest => {
            assert!(*most * 10 >= 9 * counts.iter().sum::<u64>(), "{name}: not nearly all on one: {counts:?}")
        }
        Spread::Race | Spread::Programmed => {}
    }
}

#[test]
fn every_connection_is_accepted_exactly_once() {
    everywhere(|_, listener| {
        let (_sandbox, server) = fixed(listener);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(server.get("/").status, 200)));
            }
        });
        assert_eq!(accepted(&server).iter().sum::<u64>(), 400, "{:?}", accepted(&server));
    });
}

#[test]
fn connections_are_spread_over_idle_workers_as_promised() {
    over_tcp(|choice, listener| {
        if matches!(choice.promises().spread, Spread::Race | Spread::Programmed) {
            return eprintln!("{listener}: no spread is promised");
        }
        let (_sandbox, server) = fixed(listener);
        assert_spread(choice, &spread_of(&server, 120));
    });
}

/// An idle connection on every worker: as the strategy spreads them where that is in turn or by chance,
/// otherwise on one worker after the other while the rest are suspended.
fn hold_one_each(server: &Server, spread: Spread) -> Vec<TcpStream> {
    let favours_one = matches!(spread, Spread::One | Spread::Latest);
    let mut held = Vec::new();
    let rows = counters(server);
    let open = || counters(server).iter().map(|row| row.open).collect::<Vec<_>>();
    while let Some(without) = open().iter().position(|&open| open == 0) {
        let others = || rows.iter().filter(|row| favours_one && row.worker != without as u64);
        others().for_each(stop);
        held.push(half_a_request(server));
        eventually("it is held", || open().iter().sum::<u64>() == held.len() as u64);
        others().for_each(|row| signal(row, Signal::SIGCONT));
        assert!(held.len() < 100, "connections never fell on every worker");
    }
    held
}

/// Stops a worker (SIGSTOP).
fn stop(row: &Counters) {
    signal(row, Signal::SIGSTOP);
    eventually("it is stopped", || is_stopped(row));
}

#[test]
fn idle_connections_do_not_change_the_spread() {
    over_tcp(|choice, listener| {
        let promises = choice.promises();
        let stuck = matches!(promises.spread, Spread::One | Spread::Latest) && promises.stopped == Wait::All;
        if stuck || matches!(promises.spread, Spread::Race | Spread::Programmed) {
            return eprintln!("{listener}: no spread is promised, or only one worker gets connections");
        }
        let (_sandbox, server) = fixed(listener);
        let _held = hold_one_each(&server, choice.promises().spread);
        assert_spread(choice, &spread_of(&server, 120));
    });
}

#[test]
fn queued_connections_survive_the_death_of_all_workers() {
    everywhere(|choice, listener| {
        if choice.promises().crash != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let (_sandbox, server) = with_handlers(listener);
        let workers = counters(&server);
        workers.iter().for_each(|row| signal(row, Signal::SIGSTOP));
        eventually("all are stopped", || workers.iter().all(is_stopped));
        let clients: Vec<_> = (0..40).map(|_| begin(&server, "/hello")).collect();
        workers.iter().for_each(|row| signal(row, Signal::SIGKILL));
        for client in clients {
            assert_eq!(client.finish().body, b"hello\n");
        }
    });
}

#[test]
fn a_running_handler_survives_the_death_of_its_worker() {
    everywhere(|_, listener| {
        let (_sandbox, server) = with_handlers(listener);
        let clients: Vec<_> = (0..8).map(|_| begin(&server, "/slow")).collect();
        eventually("all are launched", || counters(&server).iter().map(|row| row.launched).sum::<u64>() == 8);
        counters(&server).iter().for_each(|row| signal(row, Signal::SIGKILL));
        for client in clients {
            assert_eq!(client.finish().body, b"hello\n");
        }
    });
}

#[test]
fn a_killed_worker_loses_at_most_its_own_connections() {
    everywhere(|choice, listener| {
        if choice.promises().crash == Loss::Queue {
            return eprintln!("{listener}: not promised");
        }
        let (_sandbox, server) = with_handlers(listener);
        let listeners = sockets(server.worker_pids()[0]);
        let mut held = 0;
        let tally = under_load(&server, 6, || {
            for round in 0..8 {
                let row = counters(&server).swap_remove(round % WORKERS);
                // Stopped first, so that its state cannot change before it dies.
                signal(&row, Signal::SIGSTOP);
                eventually("it is stopped", || is_stopped(&row));
                let own = sockets(pid_of(&row)) - listeners;
                // One connection may have been accepted before the worker could count it.
                let open = counters(&server)[round % WORKERS].open as usize;
                let ahead = choice.promises().crash == Loss::Accepted;
                assert!(ahead || own <= open + 1, "{listener}: {own} sockets, {open} counted");
                held += own;
                signal(&row, Signal::SIGKILL);
                eventually("it has a successor", || {
                    let successor = &counters(&server)[round % WORKERS];
                    successor.pid != row.pid && successor.state == 2
                });
            }
        });
        assert!(tally.lost() <= held, "{held} held: {tally:?}");
        assert_eq!(tally.refused(), 0);
    });
}

#[test]
fn a_stop_under_load_loses_nothing() {
    everywhere(|choice, listener| {
        if choice.promises().leave != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let (sandbox, server) = with_handlers(listener);
        let tally = under_load(&server, 6, || {
            sandbox.caffeine(&["-n", server.name(), "--stop"]).succeeds();
        });
        assert_eq!(tally.lost(), 0, "{tally:?}");
        assert!(tally.refused() > 0, "the load outlived the server");
    });
}

#[test]
fn a_stop_serves_connections_still_queued() {
    everywhere(|choice, listener| {
        if choice.promises().leave != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let (_sandbox, mut server) = with_handlers(listener);
        let workers = counters(&server);
        workers.iter().for_each(|row| signal(row, Signal::SIGSTOP));
        eventually("all are stopped", || workers.iter().all(is_stopped));
        let clients: Vec<_> = (0..20).map(|_| begin(&server, "/hello")).collect();
        server.signal(Signal::SIGTERM);
        eventually("the workers were told to stop", || {
            workers.iter().all(|row| has_pending(pid_of(row), Signal::SIGTERM))
        });
        workers.iter().for_each(|row| signal(row, Signal::SIGCONT));
        for client in clients {
            assert_eq!(client.finish().body, b"hello\n");
        }
        assert_eq!(server.wait().0, Some(0));
    });
}

#[test]
fn a_reload_under_load_loses_nothing() {
    everywhere(|choice, listener| {
        if choice.promises().leave != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let (sandbox, server) = with_handlers(listener);
        let tally = under_load(&server, 6, || {
            for _ in 0..4 {
                sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
            }
        });
        assert_eq!((tally.lost(), tally.refused()), (0, 0), "{tally:?}");
    });
}

#[test]
fn reloads_to_fewer_and_more_workers_lose_nothing() {
    everywhere(|choice, listener| {
        if choice.promises().leave != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let sandbox = Sandbox::new();
        sandbox.handler("hello", HELLO);
        let config = |workers| sandbox.write("lab.toml", format!("workers = {workers}\n"));
        let path = config(4);
        let server = listener.start(&sandbox, &["-n", "lab", "--config", path.to_str().unwrap()]);
        let tally = under_load(&server, 6, || {
            for workers in [2, 5, 1] {
                config(workers);
                sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
                assert_eq!(counters(&server).len(), workers);
            }
        });
        assert_eq!((tally.lost(), tally.refused()), (0, 0), "{tally:?}");
    });
}

#[test]
fn a_suspended_worker_does_not_block_the_others() {
    everywhere(|choice, listener| {
        if !matches!(choice.promises().stopped, Wait::Nothing | Wait::UpToMs(_)) {
            return eprintln!("{listener}: not promised");
        }
        let (_sandbox, server) = fixed(listener);
        for stuck in 0..WORKERS {
            let row = counters(&server).swap_remove(stuck);
            signal(&row, Signal::SIGSTOP);
            eventually("it is stopped", || is_stopped(&row));
            let counts = spread_of(&server, 40);
            assert_eq!((counts[stuck], counts.iter().sum()), (0, 40), "worker {stuck}: {counts:?}");
            signal(&row, Signal::SIGCONT);
            if choice.promises().spread == Spread::Turn {
                eventually("it takes its part again", || spread_of(&server, WORKERS)[stuck] > 0);
            }
        }
    });
}

/// The system call in which a process's main thread is blocked; `None` while it runs. One look tells both: between two,
/// the thread could leave the call.
fn blocked_in(pid: u32) -> Option<i64> {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    call.split(' ').next()?.parse().ok()
}

/// Whether a signal is pending for a process (proc(5), ShdPnd).
fn has_pending(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal as u32 - 1)) != 0
}

fn is_stopped(row: &Counters) -> bool {
    state(pid_of(row)) == 'T'
}

fn pid_of(row: &Counters) -> u32 {
    u32::try_from(row.pid).unwrap()
}

/// Number of sockets that a process has open.
fn sockets(pid: u32) -> usize {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    links
        .filter(|fd| {
            std::fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
        })
        .count()
}
