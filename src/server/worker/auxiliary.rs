//! A process that serves a strategy beside the workers: what every one of them needs to be watched, told to stop and
//! replaced like a worker. What it does all day is the strategy's business ([`Auxiliary`](crate::listener::Auxiliary)).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use super::{EXIT_FATAL, Post, Shortage};
use crate::listener::Auxiliary;
use crate::scoreboard::State;
use crate::server::logging;
use crate::sys::{fork, signal};

/// Runs it to its end; `ready` is called when it has begun. Never returns and never unwinds: the stack below belongs to
/// the supervisor that was forked.
pub fn run(post: Post<'_>, ready: impl FnOnce(Result<(), String>)) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| work(&post, ready))).unwrap_or(101);
    fork::exit_now(code)
}

fn work(post: &Post<'_>, ready: impl FnOnce(Result<(), String>)) -> i32 {
    let mut auxiliary = match set_up(post) {
        Ok(auxiliary) => auxiliary,
        Err(error) => {
            ready(Err(error.to_string()));
            return EXIT_FATAL;
        }
    };
    ready(Ok(()));
    let (row, mut shortage) = (post.board.row(post.slot), Shortage::default());
    while !signal::stopped() {
        match auxiliary.step(row) {
            Ok(_) => shortage.is_over(),
            Err(error) => shortage.stand_back(&error),
        }
    }
    row.state.store(State::Stopping as u64, Relaxed);
    auxiliary.leave();
    0
}

fn set_up(post: &Post<'_>) -> io::Result<Box<dyn Auxiliary>> {
    if let Some(log) = logging::descriptor() {
        signal::install_worker(log, &post.log_path)?;
    }
    logging::become_auxiliary();
    let auxiliary = post.strategy.auxiliary(post.seat())?;
    let row = post.board.row(post.slot);
    row.generation.store(post.generation, Relaxed);
    row.pid.store(u64::from(std::process::id()), Relaxed);
    row.state.store(State::Running as u64, Relaxed);
    Ok(auxiliary)
}
