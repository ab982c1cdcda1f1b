//! One line on a terminal, redrawn every second. It reads counters and changes nothing.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::control::{Control, Progress};
use super::plan::Plan;

/// The line.
pub struct Line {
    /// Off a terminal nothing is shown.
    on: bool,
    begun: Instant,
    last: (f64, u64),
    planned_s: Option<f64>,
}

impl Line {
    /// For a run of `plan` that begins now.
    pub fn new(plan: &Plan, on: bool) -> Self {
        let planned_s = plan.duration_ns.map(|duration| (duration + plan.warmup_ns) as f64 / 1e9);
        Self { on, begun: Instant::now(), last: (0.0, 0), planned_s }
    }

    /// Draws it anew.
    pub fn show(&mut self, control: &Control) {
        if !self.on {
            return;
        }
        let sum = |counter: fn(&Progress) -> u64| control.progress.iter().map(counter).sum::<u64>();
        let completed = sum(|progress| progress.completed.load(Relaxed));
        let failed = sum(|progress| progress.failed.load(Relaxed));
        let open = sum(|progress| progress.open.load(Relaxed));
        let elapsed_s = self.begun.elapsed().as_secs_f64();
        let rate = (completed - self.last.1) as f64 / (elapsed_s - self.last.0).max(1e-9);
        self.last = (elapsed_s, completed);
        let planned = self.planned_s.map(|planned_s| format!(" of {planned_s:.0}")).unwrap_or_default();
        eprint!("\r\x1b[K  {elapsed_s:.0}{planned} s   {rate:.0} requests/s   {failed} failed   {open} open");
    }

    /// Takes it away.
    pub fn clear(&self) {
        if self.on {
            eprint!("\r\x1b[K");
        }
    }
}
