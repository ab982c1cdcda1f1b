//! Progress of a run: a screen on a terminal, plain lines elsewhere, nothing with `--quiet`. It uses snapshots of the
//! collector and does not affect the sending threads.

mod draw;
mod heat;
mod lines;
#[cfg(test)]
mod samples;
mod screen;
mod theme;
mod timeline;

pub use screen::leave;

use std::io::IsTerminal as _;
use std::sync::Arc;

use crate::loadgen::control::Interrupt;
use crate::loadgen::count::collect::Snapshot;
use crate::loadgen::plan::Plan;
use crate::sys::stdio::remark;
use screen::Screen;
use timeline::Timeline;

pub enum View {
    Silent,
    Lines(Lines),
    Screen(Screen),
}

impl View {
    /// `live`: a screen if possible, whose key `q` sets `interrupt`.
    pub fn open(quiet: bool, live: bool, interrupt: &Arc<Interrupt>) -> Self {
        if quiet {
            return Self::Silent;
        }
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let screen =
            if live && !dumb && std::io::stderr().is_terminal() { Screen::open(interrupt) } else { None };
        screen.map_or_else(|| Self::Lines(Lines::default()), Self::Screen)
    }

    /// Starts a run; `note`: the search that it is part of, if any.
    pub fn begin(&mut self, plan: &Plan, note: &str) {
        let timeline = || Timeline::new(plan, note);
        match self {
            Self::Silent => {}
            Self::Lines(lines) => lines.timeline = Some(Box::new(timeline())),
            Self::Screen(screen) => screen.with(|shown| *shown = Some(timeline())),
        }
    }

    pub fn show(&mut self, snapshot: &Snapshot<'_>) {
        match self {
            Self::Silent => {}
            Self::Lines(lines) => lines.show(snapshot),
            Self::Screen(screen) => screen.with(|timeline| {
                if let Some(timeline) = timeline {
                    timeline.take(snapshot);
                }
            }),
        }
    }

    /// Prints the result of one run of a search as a line under `head`; a screen has it in its note.
    pub fn note(&mut self, head: &str, line: &str) {
        if let Self::Lines(lines) = self {
            lines.print(head, line);
        }
    }
}

/// Lines on standard error.
#[derive(Default)]
pub struct Lines {
    timeline: Option<Box<Timeline>>,
    has_head: bool,
}

impl Lines {
    fn print(&mut self, head: &str, line: &str) {
        if !self.has_head {
            remark(head);
            self.has_head = true;
        }
        remark(line);
    }

    fn show(&mut self, snapshot: &Snapshot<'_>) {
        let Some(mut timeline) = self.timeline.take() else { return };
        timeline.take(snapshot);
        let Snapshot { plan, last, total, .. } = *snapshot;
        let is_cut_short = last.begin_ns == 0 && last.end_ns < plan.interval_ns;
        let is_straggler = last.warmup && last.begin_ns >= plan.timing.warmup_ns;
        let is_over = timeline.planned_ns.is_some_and(|planned| last.begin_ns >= planned);
        // The runs of a search have one line each.
        if timeline.note.is_empty() && !is_cut_short && !is_straggler && !is_over {
            let failed = if last.warmup { last.tally.failed() } else { total.failed() };
            self.print(lines::HEAD, &lines::line(&timeline, last.end_ns, failed, last.warmup));
        }
        self.timeline = Some(timeline);
    }
}
