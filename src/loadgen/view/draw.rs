//! Draws a timeline on a screen of any size, the most important figures first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use super::heat;
use super::timeline::Timeline;
use crate::loadgen::count::BUSY_SHARE;
use crate::loadgen::figures::{clock, rate, time};
use crate::measure::record::Summary;

pub const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// For labels.
pub const FAINT: Style = Style::new().fg(Color::DarkGray);
pub const BAR: Style = Style::new().fg(Color::Cyan);
/// For failures and other problems.
pub const BAD: Style = STRONG.fg(Color::Red);

/// Least width of the full form.
const WIDE: u16 = 72;
/// Least width with room for the send lag.
const ROOMY: u16 = 100;
/// Send lag that may make a run INVALID, in us.
const LATE_US: f64 = 1000.0;
/// Most workers with a line each.
const MOST_WORKERS: usize = 16;

/// The remaining rows, allocated from the top.
struct Rows<'a, 'b> {
    frame: &'a mut Frame<'b>,
    left: Rect,
}

impl Rows<'_, '_> {
    fn take(&mut self, height: u16) -> Rect {
        let height = height.min(self.left.height);
        let area = Rect { height, ..self.left };
        self.left.y += height;
        self.left.height -= height;
        area
    }

    fn line<'c>(&mut self, line: impl Into<Line<'c>>) {
        let area = self.take(1);
        let line: Line<'_> = line.into();
        self.frame.render_widget(line, area);
    }

    fn note(&mut self, timeline: &Timeline) {
        if !timeline.note.is_empty() {
            self.line(format!(" {}", timeline.note));
        }
    }
}

/// `elapsed_ns`: since the start of the run; `color`: whether colors are wanted.
pub fn draw(frame: &mut Frame<'_>, timeline: &Timeline, elapsed_ns: u64, color: bool) {
    let area = frame.area();
    let mut rows = Rows { left: area, frame };
    match (area.width, area.height) {
        (_, 0..3) => rows.line(one_line(timeline, elapsed_ns)),
        (WIDE.., 16..) => full(&mut rows, timeline, elapsed_ns),
        _ => small(&mut rows, timeline, elapsed_ns),
    }
    if !color {
        rows.frame.buffer_mut().content.iter_mut().for_each(|cell| cell.fg = Color::Reset);
    }
}

fn full(rows: &mut Rows<'_, '_>, timeline: &Timeline, elapsed_ns: u64) {
    let width = rows.left.width;
    let doing = timeline.doing();
    let room = usize::from(width).saturating_sub(doing.len() + 12);
    let url: String = timeline.plan.target.url().chars().take(room).collect();
    let gap = usize::from(width).saturating_sub(url.chars().count() + doing.len() + 11);
    rows.line(vec![
        Span::styled(" loadgen  ", STRONG),
        Span::raw(url),
        Span::raw(" ".repeat(gap)),
        Span::styled(doing, FAINT),
    ]);
    rows.line(progress(timeline, elapsed_ns, width));
    rows.note(timeline);
    rows.take(1);
    rows.line(rates(timeline, width));
    sparkline(rows, timeline, 3);
    rows.take(1);
    latencies(rows, timeline);
    rows.take(1);
    errors(rows, timeline);
    workers(rows, timeline);
    if rows.left.height > heat::LEAST_HEIGHT {
        rows.take(1);
        let area = rows.take(rows.left.height);
        heat::draw(rows.frame.buffer_mut(), area, timeline);
    }
}

/// For narrow or low screens.
fn small(rows: &mut Rows<'_, '_>, timeline: &Timeline, elapsed_ns: u64) {
    let low = rows.left.height < 6;
    if low {
        rows.line(one_line(timeline, elapsed_ns));
    } else {
        rows.line(Span::styled(format!(" {}", timeline.plan.target.url()), STRONG));
        rows.line(progress(timeline, elapsed_ns, rows.left.width));
        rows.note(timeline);
    }
    let offered = if timeline.is_paced() { format!(" of {}", rate(timeline.offered)) } else { String::new() };
    rows.line(format!(" {}{offered} requests/s, {} open", rate(timeline.achieved), timeline.open));
    let Summary { p50_us, p99_us, .. } = timeline.response;
    let times = format!(" p50 {} p99 {} ", time(p50_us), time(p99_us));
    rows.line(vec![Span::raw(times), failed(timeline)]);
    if !low {
        sparkline(rows, timeline, rows.left.height);
    }
}

fn one_line(timeline: &Timeline, elapsed_ns: u64) -> String {
    let (elapsed, per_second) = (clock(elapsed_ns), rate(timeline.achieved));
    let (p99, failed) = (time(timeline.response.p99_us), timeline.failed);
    format!(" {elapsed}  {per_second}/s  p99 {p99}  {failed} failed")
}

fn failed(timeline: &Timeline) -> Span<'static> {
    let (failed, ended) = (timeline.failed, timeline.completed + timeline.failed);
    let share = failed as f64 * 100.0 / (ended as f64).max(1.0);
    match failed {
        0 => Span::raw("0 failed"),
        _ if share < 0.1 => Span::styled(format!("{failed} failed (<0.1 %)"), BAD),
        _ => Span::styled(format!("{failed} failed ({share:.1} %)"), BAD),
    }
}

fn progress(timeline: &Timeline, elapsed_ns: u64, width: u16) -> Line<'static> {
    let (end_ns, requests) = (timeline.plan.timing.end_ns(), timeline.plan.timing.requests);
    let ended = timeline.completed + timeline.failed;
    let (done, planned) = match (end_ns, requests) {
        (Some(end_ns), _) => (elapsed_ns as f64 / end_ns.max(1) as f64, format!(" of {}", clock(end_ns))),
        (None, Some(requests)) => (ended as f64 / requests as f64, format!(", {ended} of {requests}")),
        (None, None) => (0.0, String::new()),
    };
    let (stage, left) = match end_ns {
        _ if elapsed_ns < timeline.plan.timing.warmup_ns => {
            ("warm-up", end_ns.map(|end_ns| end_ns - elapsed_ns))
        }
        Some(end_ns) if elapsed_ns >= end_ns => ("waiting for the last responses", None),
        end_ns => ("measuring", end_ns.map(|end_ns| end_ns - elapsed_ns)),
    };
    let left = left.map(|left| format!(", {} left", clock(left))).unwrap_or_default();
    let cells = usize::from(width / 4);
    let filled = (done.clamp(0.0, 1.0) * cells as f64).round() as usize;
    let words = if width >= WIDE { format!(": {stage}{left}") } else { String::new() };
    let keys = if width >= 30 { "   q ends it" } else { "" };
    Line::from(vec![
        Span::raw(" "),
        Span::styled("█".repeat(filled), BAR),
        Span::styled("░".repeat(cells - filled), FAINT),
        Span::raw(format!(" {}{planned}{words}", clock(elapsed_ns))),
        Span::styled(keys, FAINT),
    ])
}

fn rates(timeline: &Timeline, width: u16) -> Line<'static> {
    let offered =
        if timeline.is_paced() { format!(" of {} offered", rate(timeline.offered)) } else { String::new() };
    let warn = |is_bad| if is_bad { BAD } else { Style::new() };
    let mut line = vec![
        Span::styled(" rate      ", FAINT),
        Span::styled(format!("{}/s", rate(timeline.achieved)), STRONG),
        Span::raw(offered),
        Span::styled("   open ", FAINT),
        Span::raw(format!("{} of {}", timeline.open, timeline.plan.connections)),
        Span::styled("   busiest thread ", FAINT),
        Span::styled(format!("{:.0} %", timeline.busiest * 100.0), warn(timeline.busiest > BUSY_SHARE)),
    ];
    if timeline.is_paced() && width >= ROOMY {
        line.push(Span::styled("   send lag p99 ", FAINT));
        line.push(Span::styled(time(timeline.lag_us), warn(timeline.lag_us > LATE_US)));
    }
    Line::from(line)
}

fn sparkline(rows: &mut Rows<'_, '_>, timeline: &Timeline, height: u16) {
    let area = rows.take(height);
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let columns = timeline.columns(usize::from(area.width));
    let rates: Vec<u64> = columns.into_iter().map(|bucket| bucket.rate() as u64).collect();
    let top = rates.iter().copied().max().unwrap_or(0).max(timeline.offered as u64).max(1);
    rows.frame.render_widget(Sparkline::default().data(&rates).max(top).style(BAR), area);
}

fn latencies(rows: &mut Rows<'_, '_>, timeline: &Timeline) {
    // Seven columns, the first of 16.
    let wide = usize::from((rows.left.width.saturating_sub(16) / 6).clamp(10, 24));
    let head =
        ["p50", "p90", "p99", "p99.9", "max", "requests"].map(|name| format!("{name:>wide$}")).concat();
    rows.line(Span::styled(format!(" {:<14}{head}", "response time"), FAINT));
    let of = |label: &str, summary: &Summary| {
        let values = [summary.p50_us, summary.p90_us, summary.p99_us, summary.p999_us, summary.max_us];
        let shown = values.map(|us| if summary.count == 0 { "-".to_owned() } else { time(us) });
        let cells = shown.map(|text| format!("{text:>wide$}")).concat();
        format!(" {label:<14}{cells}{:>wide$}", summary.count)
    };
    rows.line(of(&format!("  last {:.1} s", timeline.last_ns as f64 / 1e9), &timeline.last));
    rows.line(Span::styled(of("  all", &timeline.response), STRONG));
    if timeline.is_paced() {
        rows.line(of("  service only", &timeline.service));
    }
}

fn errors(rows: &mut Rows<'_, '_>, timeline: &Timeline) {
    let room = usize::from(rows.left.width) / 20;
    let kinds = timeline.errors.iter().take(room).map(|(kind, count)| format!("{kind} {count}"));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    let kinds = if kinds.is_empty() { kinds } else { format!(": {kinds}") };
    rows.line(vec![Span::styled(" errors    ", FAINT), failed(timeline), Span::raw(kinds)]);
}

fn workers(rows: &mut Rows<'_, '_>, timeline: &Timeline) {
    let whole: u64 = timeline.workers.iter().map(|(_, count)| *count).sum();
    let most = timeline.workers.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    // The other half is left to the heat map.
    let room = (usize::from(rows.left.height) / 2).min(MOST_WORKERS);
    let hidden = timeline.workers.len().saturating_sub(room);
    let shown = if hidden > 0 { room.saturating_sub(1) } else { timeline.workers.len() };
    let cells = usize::from(rows.left.width).saturating_sub(42);
    for (index, (name, count)) in timeline.workers.iter().take(shown).enumerate() {
        let filled = (*count as f64 / most as f64 * cells as f64).round() as usize;
        let label = if index == 0 { "workers" } else { "" };
        let name: String = name.chars().take(10).collect();
        rows.line(vec![
            Span::styled(format!(" {label:<9} "), FAINT),
            Span::raw(format!("{name:>10} ")),
            Span::styled("█".repeat(filled), BAR),
            Span::raw(format!(" {:.1} %", *count as f64 * 100.0 / whole.max(1) as f64)),
        ]);
    }
    if hidden > 0 && room > 0 {
        let more = timeline.workers.len() - shown;
        rows.line(Span::styled(format!(" {:<21} and {more} more", ""), FAINT));
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
