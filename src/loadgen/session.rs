//! One run: threads that send, and the collector of what they count. It prints nothing and writes nothing.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, ScopedJoinHandle};

use crate::loadgen::control::Control;
use crate::loadgen::count::collect::{Collector, Snapshot};
use crate::loadgen::count::cpu::ThreadUse;
use crate::loadgen::count::recorder::Handoff;
use crate::loadgen::count::tally::Tally;
use crate::loadgen::engine::Engine;
use crate::loadgen::error::Error;
use crate::loadgen::plan::Plan;
use crate::measure::series::IntervalSummary;

/// Empty tallies that each thread can take at once: it hands over at most one of each kind per interval.
const SPARE_TALLIES: usize = 2;

/// What a run found.
#[derive(Debug)]
pub struct Findings {
    /// All requests of the measured time.
    pub tally: Tally,
    /// The course of the run, in the order of time, warm-up included.
    pub intervals: Vec<IntervalSummary>,
    /// One for each thread.
    pub found: Vec<ThreadUse>,
    /// The run was stopped before its end.
    pub interrupted: bool,
    /// When the first request was due, in ns since 1970.
    pub start_unix_ns: u64,
}

/// Runs all threads of `plan` to their end; `observe` sees every interval, in order, as soon as it is complete.
///
/// # Errors
/// A thread could not go on. A server that cannot be reached is not an error here: see [`Control::unreachable`].
pub fn run(
    plan: &Plan,
    control: &Arc<Control>,
    observe: &mut dyn FnMut(&Snapshot<'_>),
) -> Result<Findings, Error> {
    let failed = |error: io::Error| Error::Failed(format!("the sending thread failed: {error}"));
    if let Some(start_ns) = plan.timing.start_ns {
        control.wait_until(start_ns);
    }
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
        let found = threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()?;
        let interrupted = control.is_interrupted();
        Ok(Findings { tally, intervals, found, interrupted, start_unix_ns })
    })
}

/// The error of a run whose first connection failed.
pub fn unreachable(plan: &Plan, control: &Control) -> Error {
    Error::Failed(format!(
        "cannot connect to {}; is the server running? (start one with `caffeine --port {}`, or give another URL)",
        control.unreachable().unwrap_or_default(),
        plan.target.port
    ))
}
