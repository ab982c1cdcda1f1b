//! State shared by the threads of a run: the start, the request to stop, and open connections. Not accessed per request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier, OnceLock};

use crate::loadgen::plan::Plan;
use crate::sys::clock::monotonic_ns;

/// Time from when the last thread is ready to the first request, in ns: each thread still allocates its tallies, and may
/// have to wait for a core.
const LEAD_NS: u64 = 5_000_000;

/// How many connections one thread has open, on its own cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Open(pub AtomicU64);

/// Whether the program was asked to end; shared by all runs of a search.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    pub fn set(&self) {
        self.0.store(true, Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[derive(Debug)]
pub struct Control {
    /// One for each thread.
    pub open: Vec<Open>,
    interrupt: Arc<Interrupt>,
    stop: AtomicBool,
    unreachable: OnceLock<String>,
    ready: Barrier,
    not_before_ns: u64,
    origin_ns: OnceLock<u64>,
}

impl Control {
    /// For the threads of `plan`, which end early when `interrupt` is set.
    pub fn new(plan: &Plan, interrupt: Arc<Interrupt>) -> Self {
        Self {
            interrupt,
            open: (0..plan.threads).map(|_| Open::default()).collect(),
            stop: AtomicBool::new(false),
            unreachable: OnceLock::new(),
            ready: Barrier::new(plan.threads),
            not_before_ns: plan.timing.start_ns.unwrap_or(0),
            origin_ns: OnceLock::new(),
        }
    }

    /// Waits until all threads are ready; returns when the run begins, the same for all.
    pub fn origin_ns(&self) -> u64 {
        self.ready.wait();
        *self.origin_ns.get_or_init(|| (monotonic_ns() + LEAD_NS).max(self.not_before_ns))
    }

    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed) || self.is_interrupted()
    }

    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    /// Stops the run because its first connection failed.
    pub fn give_up(&self, why: impl FnOnce() -> String) {
        self.unreachable.get_or_init(why);
        self.stop();
    }

    pub fn unreachable(&self) -> Option<&str> {
        self.unreachable.get().map(String::as_str)
    }
}
