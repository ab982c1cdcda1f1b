//! What the threads of a run share: the start, the wish to stop, and how far they are. Nothing here is touched
//! once per request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier, OnceLock};

use crate::sys::clock::monotonic_ns;

/// Time between the last thread being ready and the first request, in ns: every thread still has to make room for
/// what it counts, and may have to wait for a core.
const LEAD_NS: u64 = 5_000_000;

/// How far one thread is; on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Progress {
    /// Complete responses, warm-up included.
    pub completed: AtomicU64,
    /// Failed requests, warm-up included.
    pub failed: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
}

/// Whether the program was asked to end. It outlives the runs of a program that makes several.
#[derive(Debug, Default)]
pub struct Interrupt(AtomicBool);

impl Interrupt {
    /// It shall end.
    pub fn set(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it shall.
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Shared by all threads of a run.
#[derive(Debug)]
pub struct Control {
    /// One for each thread that sends.
    pub progress: Vec<Progress>,
    interrupt: Arc<Interrupt>,
    stop: AtomicBool,
    unreachable: OnceLock<String>,
    ready: Barrier,
    not_before: AtomicU64,
    origin_ns: OnceLock<u64>,
}

impl Control {
    /// For this many threads, which end early when `interrupt` is set.
    pub fn new(threads: usize, interrupt: Arc<Interrupt>) -> Self {
        Self {
            interrupt,
            progress: (0..threads).map(|_| Progress::default()).collect(),
            stop: AtomicBool::new(false),
            unreachable: OnceLock::new(),
            ready: Barrier::new(threads),
            not_before: AtomicU64::new(0),
            origin_ns: OnceLock::new(),
        }
    }

    /// Waits until all threads are ready and returns the moment at which the run begins, the same for all.
    pub fn origin_ns(&self) -> u64 {
        self.ready.wait();
        *self.origin_ns.get_or_init(|| (monotonic_ns() + LEAD_NS).max(self.not_before.load(Relaxed)))
    }

    /// The run is not to begin before `at_ns` of the monotonic clock. To be said before threads wait for each other.
    pub fn wait_until(&self, at_ns: u64) {
        self.not_before.store(at_ns, Relaxed);
    }

    /// Asks all threads to end at once.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether they were asked to, or the program is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed) || self.is_interrupted()
    }

    /// Whether the program is to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    /// The first connection of all failed: going on is pointless.
    pub fn give_up(&self, why: impl FnOnce() -> String) {
        self.unreachable.get_or_init(why);
        self.stop();
    }

    /// Why it was given up, if it was.
    pub fn unreachable(&self) -> Option<&str> {
        self.unreachable.get().map(String::as_str)
    }
}
