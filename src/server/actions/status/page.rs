//! The text of `--status`: all of it, or as much as fits a screen. Pure but for the clock.

use super::sight::{Handlers, Relayed, Sight};
use crate::instance::Life;
use crate::scoreboard::Counters;
use crate::server::actions::table::{Align, count, table, uptime};

/// Width when printing to a pipe.
const WIDTH: usize = 80;

const COLUMNS: [(&str, Align); 10] = [
    ("#", Align::Right),
    ("PID", Align::Right),
    ("STATE", Align::Left),
    ("ACCEPT", Align::Right),
    ("LAUNCH", Align::Right),
    ("OPEN", Align::Right),
    ("OWN4XX", Align::Right),
    ("OWN5XX", Align::Right),
    ("EMPTY", Align::Right),
    ("BUSY", Align::Right),
];

/// Scroll position in the list of workers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Page {
    first: usize,
}

impl Page {
    /// The whole text, for a pipe.
    pub fn whole(sight: &Sight) -> String {
        let mut lines = head(sight, WIDTH);
        lines.push(String::new());
        lines.extend(table(&COLUMNS, &rows(sight)).lines().map(str::to_owned));
        lines.join("\n") + "\n"
    }

    /// Scrolls by this many workers.
    pub fn scroll(&mut self, lines: isize) {
        self.first = self.first.saturating_add_signed(lines);
    }

    /// The part that fits a terminal of this size.
    pub fn fit(&mut self, sight: &Sight, (width, height): (usize, usize)) -> Vec<String> {
        let mut lines = head(sight, width);
        let rows = rows(sight);
        // Half of a small screen is reserved for workers, with their heading and the last line.
        lines.truncate(height.saturating_sub(3).min(height.div_ceil(2)).max(1));
        if lines.len() + rows.len() + 3 <= height {
            lines.push(String::new());
        }
        let room = height.saturating_sub(lines.len() + 2);
        self.first = self.first.min(rows.len().saturating_sub(room));
        let shown = &rows[self.first..rows.len().min(self.first + room)];
        lines.extend(narrowed(&rows, shown, width));
        lines.resize(height.saturating_sub(1), String::new());
        lines.push(foot(self.first, shown.len(), rows.len(), width));
        lines.iter_mut().for_each(|line| *line = line.chars().take(width).collect());
        lines.truncate(height);
        lines
    }
}

/// The table of some rows, with columns wide enough for all rows, so that it does not shift while scrolling.
fn narrowed(all: &[[String; 10]], shown: &[[String; 10]], width: usize) -> Vec<String> {
    let widest = |columns: usize| {
        let cut: Vec<&[String]> = all.iter().map(|row| &row[..columns]).collect();
        table(&COLUMNS[..columns], &cut).lines().map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let columns = (2..=COLUMNS.len()).rev().find(|&columns| widest(columns) <= width).unwrap_or(2);
    let cut: Vec<&[String]> = shown.iter().map(|row| &row[..columns]).collect();
    table(&COLUMNS[..columns], &cut).lines().map(str::to_owned).collect()
}

fn foot(first: usize, shown: usize, all: usize, width: usize) -> String {
    let leave = "q leaves";
    if shown == all {
        return leave.into();
    }
    let seen = format!("{} to {} of {all}", first + 1, first + shown);
    let whole = format!("{seen}: arrows, PgUp, PgDn   {leave}");
    if whole.len() <= width { whole } else { format!("{seen}   {leave}") }
}

/// The instance and its totals, in lines of this width.
fn head(sight: &Sight, width: usize) -> Vec<String> {
    let is_here = sight.note.is_none();
    let plural = if sight.workers.len() == 1 { "" } else { "s" };
    let who = [
        match sight.life {
            Life::Running(pid) if is_here => format!("{} (pid {pid})", sight.name),
            _ => sight.name.clone(),
        },
        sight.address.clone(),
        format!("up {}", uptime(sight.since_ms)),
        format!("{} worker{plural}", sight.workers.len()),
        sight.listener.clone(),
        format!("generation {}", sight.generation),
        some(sight.respawns, "respawned"),
        some(sight.refused, "reloads refused"),
        if sight.is_closing { "stopping".into() } else { String::new() },
    ];
    let totals = &sight.totals;
    let own: u64 = totals.answered.iter().sum();
    let counted = [
        format!("accepted {}{}", totals.accepted, sight.rate(sight.pace.accepted)),
        some(totals.stolen, "from another worker's queue"),
        format!("launched {}{}", totals.launched, sight.rate(sight.pace.launched)),
        format!("own answers {own}{}", sight.rate(sight.pace.answered)),
        by_class(&totals.answered),
        format!("launch failures {}", totals.launch_failures),
        format!("time-outs {}", totals.timeouts),
        format!("open {}", totals.open),
        format!("busy {}", percent(mean_busy(sight))),
    ];
    let handlers = sight.handlers.map(|Handlers { pid, running, ok, failed, killed, client_gone }| {
        format!(
            "handlers: {running} running, {ok} ok, {failed} failed, {killed} killed, {client_gone} client gone (keeper: pid {pid})"
        )
    });
    let relayed = sight.relayed.map(|Relayed { now, ended, cut }| {
        let cut = if cut == 0 { String::new() } else { format!(", {cut} cut") };
        format!("documents: {now} under way, {} ended ({}){cut}", ended.iter().sum::<u64>(), by_class(&ended))
    });
    let note = sight.note.as_ref().map(|note| note.trim_end().to_owned());
    let lines = [handlers, relayed, note].into_iter().flatten().collect();
    [flow(&who, width), flow(&counted, width), lines].concat()
}

/// `2xx 7, 4xx 1`.
fn by_class(counts: &[u64; 5]) -> String {
    let counted = (0..5).filter(|&class| counts[class] > 0);
    counted.map(|class| format!("{}xx {}", class + 1, counts[class])).collect::<Vec<_>>().join(", ")
}

fn some(number: u64, what: &str) -> String {
    if number == 0 { String::new() } else { format!("{number} {what}") }
}

fn mean_busy(sight: &Sight) -> f64 {
    let all: f64 = sight.workers.iter().map(|row| sight.busy(row)).sum();
    all / sight.workers.len().max(1) as f64
}

/// Joins facts into as few lines as possible.
fn flow(facts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for fact in facts.iter().filter(|fact| !fact.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + fact.chars().count() < width => {
                line.push_str(", ");
                line.push_str(fact);
            }
            Some(line) => {
                line.push(',');
                lines.push(fact.clone());
            }
            None => lines.push(fact.clone()),
        }
    }
    lines
}

fn rows(sight: &Sight) -> Vec<[String; 10]> {
    let mut rows: Vec<_> = sight.workers.iter().map(|worker| row(sight, worker)).collect();
    // An auxiliary process has no worker number, and its connections count where they were passed.
    rows.extend(sight.beside.iter().map(|beside| {
        let mut cells = row(sight, beside);
        "-".clone_into(&mut cells[0]);
        cells
    }));
    rows
}

fn row(sight: &Sight, worker: &Counters) -> [String; 10] {
    [
        worker.worker.to_string(),
        worker.pid.to_string(),
        worker.state_name().to_owned(),
        count(worker.accepted),
        count(worker.launched),
        count(worker.open),
        count(worker.answered[3]),
        count(worker.answered[4]),
        count(worker.empty_wakeups),
        percent(sight.busy(worker)),
    ]
}

fn percent(share: f64) -> String {
    let places = usize::from(share < 0.0995);
    format!("{:.places$}%", share * 100.0)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
