//! A worker process: accepts connections, reads whole requests, starts their handlers.
//!
//! Two threads. The *acceptor* (this file) blocks in the strategy's accept() and serves at once every request that has arrived
//! in one piece by then, as nearly all have (TCP_DEFER_ACCEPT). The *background* thread ([`background`]) owns the slow
//! connections: half-read, kept-alive and lingering ones, with their deadlines. So no client, however slow, keeps the acceptor
//! from its place in the kernel's queue, and neither thread ever waits for a handler.

mod acceptor;
mod areas;
pub mod auxiliary;
mod background;
mod body;
mod body_memory;
mod connection;
mod context;
mod descriptors;
mod first_steps;
mod handler_queue;
mod handler_watch;
mod linger;
mod max_handlers;
mod per_client;
mod pin;
mod service;
mod shared;
mod shortage;
mod slow_connection;
mod slow_connections;
mod timer;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use acceptor::Acceptor;
pub use context::WorkerContext;
use descriptors::Descriptors;
use handler_queue::HandlerQueue;
use handler_watch::HandlerWatch;
use shared::Shared;
use slow_connections::SlowConnections;
use timer::Timer;

use crate::cgi::launch;
use crate::dist::mix;
use crate::http::limits::Limits;
use crate::listener::address::Bind;
use crate::scoreboard::{State, mounts};
use crate::server::error::EXIT_FATAL;
use crate::server::logging;
use crate::sys::{clock, fork, image, map, net, sandbox};

/// Runs a worker to its end; `ready` is called when it can accept. Never returns and never unwinds: the stack below
/// belongs to the supervisor that was forked.
pub fn run(context: WorkerContext<'_>, ready: impl FnOnce(Result<(), String>)) -> ! {
    let code = catch_unwind(AssertUnwindSafe(|| work(context, ready))).unwrap_or(101);
    logging::flush();
    fork::exit_now(code)
}

fn work(context: WorkerContext<'_>, ready: impl FnOnce(Result<(), String>)) -> i32 {
    match set_up(context) {
        Ok(acceptor) => {
            ready(Ok(()));
            image::forget_pages();
            acceptor.run();
            0
        }
        Err(error) => {
            ready(Err(error.to_string()));
            EXIT_FATAL
        }
    }
}

/// Seed of what the worker draws. No two workers draw the same, nor does one that replaces another; without `--seed` no
/// two starts do.
fn seed(context: &WorkerContext<'_>) -> u64 {
    match context.settings.seed {
        Some(seed) => mix([seed, context.generation, context.number as u64, context.starts]),
        None => mix([clock::monotonic_ns(), u64::from(std::process::id())]),
    }
}

fn set_up(context: WorkerContext<'_>) -> io::Result<Acceptor> {
    if !context.settings.allow_setuid {
        fork::gain_no_privileges()?;
        fork::pass_on_no_capabilities()?;
        sandbox::let_threads_start()?;
    }
    if context.settings.pin {
        pin::to_one_cpu(context.number)?;
    }
    logging::install_signals()?;
    let flush_timer = logging::become_worker(context.number, &context.board.row(context.slot).unwritten)?;
    let strategy = context.strategy.acceptor(context.seat())?;
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        limits: Limits { body: context.settings.max_body, ..Limits::default() },
        occupy: context.settings.respond.occupy(seed(&context)).map(Mutex::new),
        server_name: match context.settings.bind {
            Bind::Ip(address) => launch::server_name(address),
            Bind::Unix(_) => "localhost".to_owned(),
        },
        descriptors: Descriptors::new(context.settings.relays())?,
        proxies: context.settings.proxies(),
        settings: context.settings.clone(),
        board: context.board,
        slot: context.slot,
        number: context.number,
        nofile: context.nofile,
        stderr: context.stderr,
        watch: context
            .keeper
            .map(|keeper| HandlerWatch::new(keeper, context.settings.outcomes.are_recorded())),
        timer: Timer::new()?,
        pending: AtomicUsize::new(0),
        queue: HandlerQueue::default(),
        places: mounts::places(context.settings.mount.iter().map(|mount| &*mount.at)),
        leases: context.leases,
        spool_directory: context.spool_directory,
    }));
    let connections: &'static SlowConnections = Box::leak(Box::new(SlowConnections::new(shared)?));
    map::share_one_heap();
    if context.rehearses {
        net::try_accept()
            .map_err(|error| io::Error::other(format!("cannot accept connections here: {error}")))?;
        areas::rehearse(shared).map_err(io::Error::other)?;
    }
    background::start(shared, connections, flush_timer)
        .map_err(|error| io::Error::other(format!("cannot start the background thread: {error}")))?;
    let row = shared.row();
    row.number.store(context.number as u64, Relaxed);
    row.generation.store(context.generation, Relaxed);
    row.pid.store(u64::from(std::process::id()), Relaxed);
    row.open.store(0, Relaxed);
    row.lingering.store(0, Relaxed);
    row.bodies.store(0, Relaxed);
    row.state.store(State::Running as u64, Relaxed);
    Acceptor::new(shared, connections, strategy, context.sockets, context.leaves_queue)
}
