//! The contract where it is easiest to break: a leaving worker was woken for connections, the others were
//! not.

use caffeine::listener::Loss;
use nix::sys::signal::Signal;

use super::{everywhere, fixed, stop, with_handlers};
use crate::harness::eventually;
use crate::harness::traffic::{begin, counters, signal};

#[test]
fn connections_that_woke_a_leaving_worker_are_served() {
    everywhere(|choice, listener| {
        if choice.promises().leave != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let (sandbox, server) = fixed(listener);
        let old = counters(&server);
        old.iter().for_each(stop);
        // They have been told to leave and will when resumed; the new workers wait behind them.
        sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
        let clients: Vec<_> = (0..30).map(|_| begin(&server, "/")).collect();
        old.iter().for_each(|row| signal(row, Signal::SIGCONT));
        for client in clients {
            assert_eq!(client.finish().status, 200);
        }
    });
}

#[test]
fn a_worker_terminated_by_hand_is_replaced_and_loses_nothing() {
    everywhere(|_, listener| {
        let (_sandbox, server) = with_handlers(listener);
        let busy = begin(&server, "/slow");
        eventually("it is launched", || counters(&server).iter().map(|row| row.launched).sum::<u64>() == 1);
        let row = counters(&server).into_iter().find(|row| row.launched == 1).unwrap();
        signal(&row, Signal::SIGTERM);
        // Meanwhile it waits for its handler, and the others serve.
        (0..12).for_each(|_| assert_eq!(server.get("/hello").status, 200));
        assert_eq!(busy.finish().status, 200);
        eventually("it has a successor", || {
            counters(&server).iter().all(|other| other.pid != row.pid && other.state == 2)
        });
        (0..12).for_each(|_| assert_eq!(server.get("/hello").status, 200));
    });
}

#[test]
fn idle_workers_notice_every_stop_signal() {
    everywhere(|_, listener| {
        let (sandbox, server) = fixed(listener);
        for _ in 0..10 {
            sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
            let pids: Vec<u64> = counters(&server).iter().map(|row| row.pid).collect();
            eventually("only the new workers are left", || {
                server.worker_pids().iter().all(|pid| pids.contains(&u64::from(*pid)))
            });
        }
    });
}
