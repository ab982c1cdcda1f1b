//! Progress of a run: a screen on a terminal, plain lines elsewhere, nothing with `--quiet`. It uses snapshots of the
//! collector and does not affect the sending threads.

mod draw;
mod heat;
mod lines;
#[cfg(test)]
#[path = "sample_tests.rs"]
mod samples;
mod screen;
mod timeline;

pub use screen::leave;

use std::io::IsTerminal as _;
use std::sync::Arc;

use crate::http::refusal::phrase;
use crate::loadgen::control::Interrupt;
use crate::loadgen::count::{Snapshot, Tally};
use crate::loadgen::output::text::WIDTH;
use crate::loadgen::plan::Plan;
use crate::sys::stdio::remark;
use screen::Screen;
use timeline::Timeline;

/// Columns for text on standard output.
pub fn width() -> usize {
    let terminal = std::io::stdout().is_terminal().then(ratatui::crossterm::terminal::size);
    terminal.and_then(Result::ok).map_or(WIDTH, |(columns, _)| usize::from(columns).max(WIDTH))
}

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

/// What to say if all responses so far have one status, and it is that of an error. No request is sent to find out, so
/// that their number is exact.
fn first_responses(plan: &Plan, tally: &Tally) -> Option<String> {
    let statuses = tally.statuses();
    let (status, _) =
        statuses.first_key_value().filter(|(status, _)| statuses.len() == 1 && status.as_str() >= "400")?;
    let phrase = phrase(status.parse().unwrap_or(0));
    Some(match &plan.requests[..] {
        [request] => format!("{} {} is {status} {phrase}", request.method, request.path),
        requests => format!("the first responses of {} URLs are {status} {phrase}", requests.len()),
    })
}

/// Lines on standard error.
#[derive(Default)]
pub struct Lines {
    timeline: Option<Box<Timeline>>,
    has_head: bool,
    /// The first responses have been looked at.
    has_seen: bool,
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
        let has_rate = timeline.take(snapshot);
        let Snapshot { plan, begin_ns, end_ns, tally, total, last, .. } = *snapshot;
        let is_cut_short = begin_ns == 0 && end_ns < plan.interval_ns;
        if !self.has_seen && tally.completed > 0 {
            self.has_seen = true;
            if let Some(warning) = first_responses(plan, tally) {
                remark(format_args!("loadgen: warning: {warning}"));
            }
        }
        // The runs of a search have one line each.
        if timeline.note.is_empty() && !is_cut_short && has_rate {
            let failed = if last.warmup { tally.failed() } else { total.failed() };
            let line = lines::line(&timeline, end_ns, failed, (last.warmup, last.partial));
            self.print(lines::HEAD, &line);
        }
        self.timeline = Some(timeline);
    }
}
