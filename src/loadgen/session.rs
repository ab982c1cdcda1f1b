//! One run: the threads that send, and the collector of their counts. It prints and writes nothing.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, ScopedJoinHandle};

use crate::loadgen::control::{Control, Interrupt};
use crate::loadgen::count::{Collector, Handoff, Snapshot, Tally, ThreadUse};
use crate::loadgen::engine::Engine;
use crate::loadgen::error::Error;
use crate::loadgen::plan::{Peer, Plan};
use crate::measure::series::IntervalSummary;

/// Empty tallies per thread: one of each kind in use, and one of each with the collector.
const SPARE_TALLIES: usize = 4;

#[derive(Debug)]
pub struct Findings {
    /// Of the measured time.
    pub tally: Tally,
    /// In chronological order, warm-up included.
    pub intervals: Vec<IntervalSummary>,
    pub threads: Vec<ThreadUse>,
    pub interrupted: bool,
    /// The server, with the reason, if the first connection failed.
    pub unreachable: Option<String>,
    /// When the first request was due, in ns since 1970.
    pub start_unix_ns: u64,
}

/// Carries out `plan`; `observe` is called for every interval, in order, as soon as it is complete.
/// Errors: a thread failed. An unreachable server is not an error here.
pub fn run(
    plan: &Plan,
    interrupt: &Arc<Interrupt>,
    observe: &mut dyn FnMut(&Snapshot<'_>),
) -> Result<Findings, Error> {
    let failed = |error: io::Error| Error::Failed(format!("the sending thread failed: {error}"));
    let control = &Control::new(plan, interrupt.clone());
    let (to, batches) = channel();
    thread::scope(|scope| {
        let mut returns = Vec::new();
        let mut threads = Vec::new();
        for share in plan.shares() {
            let (empty, back) = channel();
            for _ in 0..SPARE_TALLIES {
                let _ = empty.send(Box::default());
            }
            returns.push(empty);
            let handoff = Handoff { to: to.clone(), back };
            threads.push(scope.spawn(move || {
                let used = Engine::new(plan, &share, control, handoff).and_then(Engine::run);
                if used.is_err() {
                    control.stop();
                }
                used
            }));
        }
        drop(to);
        let mut collector = Collector::new(plan, control, returns);
        for batch in batches {
            collector.take(batch, observe);
        }
        let (tally, intervals, start_unix_ns) = collector.finish(observe);
        let join = |thread: ScopedJoinHandle<'_, io::Result<ThreadUse>>| match thread.join() {
            Ok(used) => used.map_err(failed),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let threads = threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()?;
        let (interrupted, unreachable) = (control.is_interrupted(), control.unreachable().map(str::to_owned));
        Ok(Findings { tally, intervals, threads, interrupted, unreachable, start_unix_ns })
    })
}

/// The error of a run whose first connection failed.
pub fn unreachable(plan: &Plan, server: &str) -> Error {
    let way_out = match plan.peers[..] {
        [Peer::Unix(_), ..] => "does it listen on this socket?".to_owned(),
        _ => format!("(start one with `caffeine --port {}`, or give another URL)", plan.target.port),
    };
    Error::Failed(format!("cannot connect to {server}; is the server running? {way_out}"))
}
