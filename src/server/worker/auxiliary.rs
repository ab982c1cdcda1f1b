//! A process that serves a strategy beside the workers, such as a dispatcher: it is watched, stopped and replaced like a worker.
//! The strategy defines what it does ([`Auxiliary`]).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

use super::context::WorkerContext;
use super::shortage::Shortage;
use crate::listener::Auxiliary;
use crate::scoreboard::State;
use crate::server::error::EXIT_FATAL;
use crate::server::logging;
use crate::sys::{fork, signal};

/// Runs the process to its end; `ready` is called when it has begun. Never returns and never unwinds: the stack below
/// belongs to the supervisor that was forked.
pub fn run(context: WorkerContext<'_>, ready: impl FnOnce(Result<(), String>)) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| work(&context, ready))).unwrap_or(101);
    fork::exit_now(code)
}

fn work(context: &WorkerContext<'_>, ready: impl FnOnce(Result<(), String>)) -> i32 {
    let mut auxiliary = match set_up(context) {
        Ok(auxiliary) => auxiliary,
        Err(error) => {
            ready(Err(error.to_string()));
            return EXIT_FATAL;
        }
    };
    ready(Ok(()));
    let (row, mut shortage) = (context.board.row(context.slot), Shortage::default());
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

fn set_up(context: &WorkerContext<'_>) -> io::Result<Box<dyn Auxiliary>> {
    logging::install_signals()?;
    logging::become_auxiliary();
    let auxiliary = context.strategy.auxiliary(context.seat())?;
    let row = context.board.row(context.slot);
    row.generation.store(context.generation, Relaxed);
    row.pid.store(u64::from(std::process::id()), Relaxed);
    row.state.store(State::Running as u64, Relaxed);
    Ok(auxiliary)
}
