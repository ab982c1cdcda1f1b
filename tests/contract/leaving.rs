//! The contract where it is easiest to break: a worker that leaves has been woken for connections, and others have not.

use caffeine::listener::Loss;
use nix::sys::signal::Signal;

use super::{everywhere, fixed, stop};
use crate::traffic::{begin, counters, signal};

#[test]
fn what_woke_a_worker_that_leaves_is_not_left_behind() {
    everywhere(|choice, listener| {
        if choice.promises().leave != Loss::Nothing {
            return eprintln!("{listener}: not promised");
        }
        let (sandbox, server) = fixed(listener);
        let old = counters(&server);
        old.iter().for_each(stop);
        // They were told to leave, and will when they go on; the new ones wait behind them.
        sandbox.caffeine(&["-n", server.name(), "--reload"]).succeeds();
        let clients: Vec<_> = (0..30).map(|_| begin(&server, "/")).collect();
        old.iter().for_each(|row| signal(row, Signal::SIGCONT));
        for client in clients {
            assert_eq!(client.finish().status, 200);
        }
    });
}
