//! One line on a terminal, redrawn at every interval. It reads counters and changes nothing.

use super::collect::Snapshot;
use super::plan::Plan;

/// The line.
pub struct Line {
    /// Off a terminal nothing is shown.
    on: bool,
    planned_s: Option<f64>,
}

impl Line {
    /// For a run of `plan` that begins now.
    pub fn new(plan: &Plan, on: bool) -> Self {
        let planned_s = plan.duration_ns.map(|duration| (duration + plan.warmup_ns) as f64 / 1e9);
        Self { on, planned_s }
    }

    /// Draws it anew.
    pub fn show(&mut self, snapshot: &Snapshot<'_>) {
        if !self.on {
            return;
        }
        let Snapshot { last, total, open, elapsed_ns, .. } = snapshot;
        let (elapsed_s, length_s) = (*elapsed_ns as f64 / 1e9, (last.end_ns - last.begin_ns) as f64 / 1e9);
        let rate = if length_s > 0.0 { last.tally.completed as f64 / length_s } else { 0.0 };
        let failed = total.failed();
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
