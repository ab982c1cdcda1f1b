//! A record as text, as wide as asked where names and reasons permit.

use std::fmt::{Display, Write as _};

use crate::loadgen::count::{Failure, PHASES, Phase};
use crate::loadgen::figures::{plural, time};
use crate::measure::record::{self, Generator, RunRecord, Summary};

/// In columns, without a terminal.
pub const WIDTH: usize = 80;

/// Lines under labels.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.text, "{line}");
    }

    fn row(&mut self, label: &str, value: impl Display) {
        self.line(format_args!("  {label:<10} {value}"));
    }

    /// Items after `label`, wrapped; nothing without items.
    fn list(&mut self, label: &str, items: impl IntoIterator<Item = String>, between: &str) {
        let mut line = format!("  {label:<10}");
        let empty = line.len();
        for item in items {
            if line.len() > empty && line.len() + between.len() + item.len() > self.width {
                self.line(line);
                line = " ".repeat(empty);
            }
            let gap = if line.len() > empty { between } else { " " };
            line = line + gap + &item;
        }
        if line.len() > empty {
            self.line(line);
        }
    }

    fn words(&mut self, label: &str, text: &str) {
        self.list(label, text.split(' ').map(str::to_owned), " ");
    }
}

/// `width`: in columns.
pub fn text(record: &RunRecord, width: usize) -> String {
    let mut page = Page { text: String::new(), width };
    plan(&mut page, record);
    rates(&mut page, record);
    latency(&mut page, record);
    counts(&mut page, record);
    end(&mut page, record);
    page.text
}

fn plan(page: &mut Page, record: &RunRecord) {
    let plan = &record.plan;
    let others = plan.urls.map(|urls| format!(" and {} more", urls.saturating_sub(1))).unwrap_or_default();
    let socket = plan.unix_socket.as_ref().map(|path| format!(" at {path}")).unwrap_or_default();
    page.line(format_args!("loadgen {}: {}{others}{socket}", record.version, plan.url));
    let threads = plural(record.generator.threads, "thread");
    let connections = plural(plan.connections, "connection");
    if let (Some(rate), Some(arrivals)) = (plan.rate, &plan.arrivals) {
        let rate = plan.profile.clone().unwrap_or_else(|| format!("{rate:.1}"));
        let seed = if arrivals == "poisson" { format!(", seed {}", plan.seed) } else { String::new() };
        page.line(format_args!("  open loop, {rate} requests/s ({arrivals}{seed})"));
        let awake = if plan.spin { ", busy-waiting between starts" } else { "" };
        page.line(format_args!("  at most {connections}, {threads}{awake}"));
    } else {
        page.line(format_args!("  closed loop, {connections}, {threads}"));
    }
    if let Some(times) = &plan.occupy {
        page.line(format_args!("  each request asks the server to take {times} (seed {})", plan.seed));
    }
    match record.sources.len() {
        0 if plan.shard.is_empty() || plan.shard == "1/1" => {}
        0 => page.line(format_args!("  shard {} of the load", plan.shard)),
        sources => page.line(format_args!("  merged from {sources} records")),
    }
    let interrupted = if record.interrupted && record.search.is_none() { ", interrupted" } else { "" };
    let how = persistence(plan);
    let measured = format!(
        "{} measured after {} s of warm-up{interrupted}",
        time(record.duration_s * 1e6),
        plan.warmup_s
    );
    let gap = if how.len() + measured.len() + 4 > page.width { "\n  " } else { " " };
    page.line(format_args!("  {how};{gap}{measured}\n"));
}

pub fn connection_use(plan: &record::Plan) -> String {
    let often = match plan.requests_per_connection {
        None if plan.keep_alive => "connections kept".to_owned(),
        None => "new connection per request".to_owned(),
        Some(requests) => format!("{requests} requests per connection"),
    };
    if plan.client_closes { often + ", closed by the client" } else { often }
}

fn persistence(plan: &record::Plan) -> String {
    let mut text = connection_use(plan);
    if let Some(think) = &plan.think {
        text += &format!(", think time {think}");
    }
    match plan.sources {
        0 => text,
        1 => text + ", from 1 address",
        sources => text + &format!(", from {sources} addresses"),
    }
}

/// Reused and reopened connections and lost SYNs, if any.
fn connections(page: &mut Page, record: &RunRecord) {
    let record::Connections { opened, reused, reconnects, syn_retransmits: [_, once, twice, more] } =
        record.connections;
    if reused > 0 || reconnects > 0 {
        let items = [
            format!("{} opened,", plural(opened, "connection")),
            format!("{reconnects} reconnects;"),
            format!("{} on open connections", plural(reused, "request")),
        ];
        page.list("", items, " ");
    }
    if [once, twice, more] != [0; 3] {
        let items = [
            format!("SYNs lost: by {} 1,", plural(once, "connection")),
            format!("by {twice} 2,"),
            format!("by {more} 3 or more (a second or more each)"),
        ];
        page.list("", items, " ");
    }
}

fn rates(page: &mut Page, record: &RunRecord) {
    let RunRecord { completed, rate, .. } = *record;
    let failed = record.errors.values().copied().fold(0, u64::saturating_add);
    let bytes = if completed > 0 { record.bytes as f64 / completed as f64 } else { 0.0 };
    let volume = rate * bytes / 1e6;
    page.row(
        "requests",
        format_args!("{completed} completed, {failed} failed, {rate:.1}/s, {volume:.2} MB/s"),
    );
    if let Some(offered) = record.offered_rate {
        let share = if offered > 0.0 { record.sent_rate / offered * 100.0 } else { 100.0 };
        page.row(
            "arrivals",
            format_args!("{offered:.1}/s offered, {:.1}/s sent ({share:.1} %)", record.sent_rate),
        );
    }
    for (count, what) in [
        (record.held, "arrivals waited for a free connection (-c)"),
        (record.unsent, "arrivals were due but not sent"),
        (record.unfinished, "requests were in flight when the run was interrupted"),
    ] {
        if count > 0 {
            page.row("", format_args!("{count} {what}"));
        }
    }
    connections(page, record);
    if let Some(test) = &record.arrivals_test {
        let fit = if test.statistic > test.limit { "do not fit" } else { "fit" };
        let (statistic, limit) = (test.statistic, test.limit);
        page.row("", format_args!("{fit} the plan: Anderson-Darling {statistic:.2}, limit {limit:.2}"));
    }
    page.line("");
}

fn latency(page: &mut Page, record: &RunRecord) {
    if record.latency.is_empty() {
        return;
    }
    let cells = |values: [String; 6]| values.map(|value| format!("{value:>9}")).join(" ");
    page.row("", cells(["mean", "p50", "p90", "p99", "p99.9", "max"].map(str::to_owned)));
    for phase in PHASES {
        let Some(summary) = record.latency.get(phase.name()) else { continue };
        // In a closed loop it equals the response time.
        if phase == Phase::Service && record.plan.model == "closed" {
            continue;
        }
        let Summary { mean_us, p50_us, p90_us, p99_us, p999_us, max_us, .. } = *summary;
        let values = [mean_us, p50_us, p90_us, p99_us, p999_us, max_us].map(time);
        page.row(&phase.name().replace('_', " "), cells(values));
    }
    page.line("");
}

fn counts(page: &mut Page, record: &RunRecord) {
    let mut label = "errors";
    for (kind, count) in &record.errors {
        let place = Failure::named(kind).map_or("elsewhere", Failure::place);
        page.row(label, format_args!("{count} {kind} ({place})"));
        label = "";
        if let Some(example) = record.examples.get(kind).filter(|example| !example.is_empty()) {
            page.words("", &format!("first: {example}"));
        }
    }
    page.list("statuses", record.statuses.iter().map(|(status, count)| format!("{status}: {count}")), "  ");
    let whole: f64 = record.workers.values().map(|count| *count as f64).sum();
    let mut workers: Vec<_> = record.workers.iter().collect();
    workers.sort_by_key(|(name, _)| name.parse().unwrap_or(u64::MAX));
    let share = |count: u64| count as f64 / whole * 100.0;
    let workers =
        workers.into_iter().map(|(name, count)| format!("{name}: {count} ({:.1} %)", share(*count)));
    page.list("workers", workers, "  ");
}

fn end(page: &mut Page, record: &RunRecord) {
    for source in &record.sources {
        let record::Source { shard, file, completed, rate, verdict, .. } = source;
        page.row("source", format_args!("{shard}: {file}, {completed} completed, {rate:.1}/s, {verdict}"));
    }
    let Generator { cpu_s, busiest_thread, .. } = record.generator;
    let per_100k = match record.completed {
        0 => String::new(),
        completed => format!(" ({:.2} per 100,000 requests)", cpu_s / completed as f64 * 1e5),
    };
    let busiest = busiest_thread * 100.0;
    page.row("generator", format_args!("{cpu_s:.2} CPU s{per_100k}, busiest thread at {busiest:.0} %"));
    page.row("verdict", &record.verdict);
    record.reasons.iter().for_each(|reason| page.words("", reason));
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
