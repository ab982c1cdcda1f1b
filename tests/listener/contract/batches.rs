//! What `--accept-batch` promises of a strategy that takes several connections per wake-up.

use nix::sys::signal::Signal;

use super::{Listener, everywhere, stop};
use crate::harness::Sandbox;
use crate::harness::traffic::{begin, counters, signal};

/// Wake-ups of a strategy's only worker for eight connections that wait for it; those that found none are not counted, since
/// the supervisor may have a worker look because it was stopped.
fn wakeups_for_eight(listener: &Listener, batch: &str) -> u64 {
    let sandbox = Sandbox::new();
    let server = listener.start(&sandbox, &["--respond", "fixed", "-w", "1", "--accept-batch", batch]);
    let worker = counters(&server).remove(0);
    stop(&worker);
    let clients: Vec<_> = (0..8).map(|_| begin(&server, "/")).collect();
    signal(&worker, Signal::SIGCONT);
    clients.into_iter().for_each(|client| assert_eq!(client.finish().status, 200));
    let row = &counters(&server)[0];
    row.wakeups - row.empty_wakeups
}

#[test]
fn a_batch_is_accepted_with_one_wake_up() {
    everywhere(|choice, listener| {
        // io_uring's multishot accept delivers without a wake-up.
        if !choice.entry.batches || !choice.promises().calls.contains(&"epoll_wait") {
            return eprintln!("{listener}: not promised");
        }
        let wakeups = ["1", "4", "16"].map(|batch| wakeups_for_eight(listener, batch));
        assert_eq!(wakeups, [8, 2, 1], "{listener}: wake-ups for 8 connections in batches of 1, 4 and 16");
    });
}
