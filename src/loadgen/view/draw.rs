//! Draws a timeline on a screen of any size, the most important figures first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::heat;
use super::theme::Theme;
use super::timeline::{Figures, Timeline};
use crate::loadgen::figures::{clock, rate, time};

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

    fn line(&mut self, line: Line<'_>) {
        let area = self.take(1);
        self.frame.render_widget(Paragraph::new(line), area);
    }

    fn gap(&mut self) {
        self.take(1);
    }
}

/// `elapsed_ns`: since the start of the run.
pub fn draw(frame: &mut Frame<'_>, timeline: &Timeline, elapsed_ns: u64, theme: Theme) {
    let area = frame.area();
    let mut rows = Rows { left: area, frame };
    match (area.width, area.height) {
        (_, 0..3) => rows.line(one_line(timeline, elapsed_ns)),
        (WIDE.., 16..) => full(&mut rows, timeline, elapsed_ns, theme),
        _ => small(&mut rows, timeline, elapsed_ns, theme),
    }
}

fn full(rows: &mut Rows<'_, '_>, timeline: &Timeline, elapsed_ns: u64, theme: Theme) {
    let width = rows.left.width;
    let doing = timeline.doing();
    let room = usize::from(width).saturating_sub(doing.len() + 12);
    let url: String = timeline.plan.target.url().chars().take(room).collect();
    let gap = usize::from(width).saturating_sub(url.chars().count() + doing.len() + 11);
    rows.line(Line::from(vec![
        Span::styled(" loadgen  ", theme.strong()),
        Span::raw(url),
        Span::raw(" ".repeat(gap)),
        Span::styled(doing, theme.faint()),
    ]));
    rows.line(progress(timeline, elapsed_ns, width, theme));
    if !timeline.note.is_empty() {
        rows.line(Line::from(format!(" {}", timeline.note)));
    }
    rows.gap();
    rows.line(rates(timeline, width, theme));
    sparkline(rows, timeline, 3, theme);
    rows.gap();
    latencies(rows, timeline, theme);
    rows.gap();
    errors(rows, timeline, theme);
    workers(rows, timeline, theme);
    if rows.left.height > heat::LEAST_HEIGHT {
        rows.gap();
        let area = rows.take(rows.left.height);
        heat::draw(rows.frame.buffer_mut(), area, timeline, theme);
    }
}

/// For narrow or low screens.
fn small(rows: &mut Rows<'_, '_>, timeline: &Timeline, elapsed_ns: u64, theme: Theme) {
    let total = &timeline.total.response;
    let width = rows.left.width;
    let low = rows.left.height < 6;
    if low {
        rows.line(one_line(timeline, elapsed_ns));
    } else {
        rows.line(Line::styled(format!(" {}", timeline.plan.target.url()), theme.strong()));
        rows.line(progress(timeline, elapsed_ns, width, theme));
    }
    if !low && !timeline.note.is_empty() {
        rows.line(Line::from(format!(" {}", timeline.note)));
    }
    let offered = if timeline.is_paced() { format!(" of {}", rate(timeline.offered)) } else { String::new() };
    rows.line(Line::from(format!(
        " {}{offered} requests/s, {} open",
        rate(timeline.achieved),
        timeline.open
    )));
    rows.line(Line::from(vec![
        Span::raw(format!(" p50 {} p99 {} ", time(total.p50_us), time(total.p99_us))),
        failed(&timeline.total, theme),
    ]));
    if !low {
        sparkline(rows, timeline, rows.left.height, theme);
    }
}

fn one_line(timeline: &Timeline, elapsed_ns: u64) -> Line<'static> {
    Line::from(format!(
        " {}  {}/s  p99 {}  {} failed",
        clock(elapsed_ns),
        rate(timeline.achieved),
        time(timeline.total.response.p99_us),
        timeline.total.failed
    ))
}

fn failed(total: &Figures, theme: Theme) -> Span<'static> {
    let share = total.failed as f64 * 100.0 / ((total.completed + total.failed) as f64).max(1.0);
    match total.failed {
        0 => Span::raw("0 failed"),
        failed if share < 0.1 => Span::styled(format!("{failed} failed (<0.1 %)"), theme.bad()),
        failed => Span::styled(format!("{failed} failed ({share:.1} %)"), theme.bad()),
    }
}

fn progress(timeline: &Timeline, elapsed_ns: u64, width: u16, theme: Theme) -> Line<'static> {
    let (end_ns, requests) = (timeline.plan.timing.end_ns(), timeline.plan.timing.requests);
    let ended = timeline.total.completed + timeline.total.failed;
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
    let long = width >= WIDE;
    let cells = usize::from(width / 4);
    let filled = (done.clamp(0.0, 1.0) * cells as f64).round() as usize;
    let words = if long { format!(": {stage}{left}") } else { String::new() };
    let keys = if width >= 30 { "   q ends it" } else { "" };
    Line::from(vec![
        Span::raw(" "),
        Span::styled("█".repeat(filled), theme.bar()),
        Span::styled("░".repeat(cells - filled), theme.faint()),
        Span::raw(format!(" {}{planned}{words}", clock(elapsed_ns))),
        Span::styled(keys, theme.faint()),
    ])
}

fn rates(timeline: &Timeline, width: u16, theme: Theme) -> Line<'static> {
    let offered =
        if timeline.is_paced() { format!(" of {} offered", rate(timeline.offered)) } else { String::new() };
    let busiest = format!("{:.0} %", timeline.busiest * 100.0);
    let busy = if timeline.busiest > 0.9 { theme.bad() } else { Style::new() };
    let mut line = vec![
        Span::styled(" rate      ", theme.faint()),
        Span::styled(format!("{}/s", rate(timeline.achieved)), theme.strong()),
        Span::raw(offered),
        Span::styled("   open ", theme.faint()),
        Span::raw(format!("{} of {}", timeline.open, timeline.plan.connections)),
        Span::styled("   busiest thread ", theme.faint()),
        Span::styled(busiest, busy),
    ];
    if timeline.is_paced() && width >= ROOMY {
        let late = if timeline.total.lag_us > LATE_US { theme.bad() } else { Style::new() };
        line.push(Span::styled("   send lag p99 ", theme.faint()));
        line.push(Span::styled(time(timeline.total.lag_us), late));
    }
    Line::from(line)
}

fn sparkline(rows: &mut Rows<'_, '_>, timeline: &Timeline, height: u16, theme: Theme) {
    let area = rows.take(height);
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let columns = timeline.columns(usize::from(area.width));
    let rates: Vec<u64> = columns.into_iter().map(|bucket| bucket.rate() as u64).collect();
    let top = rates.iter().copied().max().unwrap_or(0).max(timeline.offered as u64).max(1);
    rows.frame.render_widget(Sparkline::default().data(&rates).max(top).style(theme.bar()), area);
}

fn latencies(rows: &mut Rows<'_, '_>, timeline: &Timeline, theme: Theme) {
    // Seven columns, the first of 16.
    let wide = usize::from((rows.left.width.saturating_sub(16) / 6).clamp(10, 24));
    let head =
        ["p50", "p90", "p99", "p99.9", "max", "requests"].map(|name| format!("{name:>wide$}")).concat();
    rows.line(Line::styled(format!(" {:<14}{head}", "response time"), theme.faint()));
    let of = |label: String, summary: &crate::measure::record::Summary| {
        let values = [summary.p50_us, summary.p90_us, summary.p99_us, summary.p999_us, summary.max_us];
        let shown = values.map(|us| if summary.count == 0 { "-".to_owned() } else { time(us) });
        let cells = shown.map(|text| format!("{text:>wide$}")).concat();
        format!(" {label:<14}{cells}{:>wide$}", summary.count)
    };
    let last_s = timeline.last_ns as f64 / 1e9;
    rows.line(Line::from(of(format!("  last {last_s:.1} s"), &timeline.last.response)));
    rows.line(Line::styled(of("  all".into(), &timeline.total.response), theme.strong()));
    if timeline.is_paced() {
        rows.line(Line::from(of("  service only".into(), &timeline.total.service)));
    }
}

fn errors(rows: &mut Rows<'_, '_>, timeline: &Timeline, theme: Theme) {
    let room = usize::from(rows.left.width) / 20;
    let kinds = timeline.errors.iter().take(room).map(|(kind, count)| format!("{kind} {count}"));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    rows.line(Line::from(vec![
        Span::styled(" errors    ", theme.faint()),
        failed(&timeline.total, theme),
        Span::raw(if kinds.is_empty() { String::new() } else { format!(": {kinds}") }),
    ]));
}

fn workers(rows: &mut Rows<'_, '_>, timeline: &Timeline, theme: Theme) {
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
        rows.line(Line::from(vec![
            Span::styled(format!(" {label:<9} "), theme.faint()),
            Span::raw(format!("{name:>10} ")),
            Span::styled("█".repeat(filled), theme.bar()),
            Span::raw(format!(" {:.1} %", *count as f64 * 100.0 / whole.max(1) as f64)),
        ]));
    }
    if hidden > 0 && room > 0 {
        rows.line(Line::styled(
            format!(" {:<21} and {} more", "", timeline.workers.len() - shown),
            theme.faint(),
        ));
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
