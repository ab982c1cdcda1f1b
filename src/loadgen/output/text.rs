//! A record as text, at most 80 columns wide where names and reasons permit.

use std::fmt::{Result, Write as _};

use crate::loadgen::count::failure::Failure;
use crate::loadgen::count::tally::{PHASES, Phase};
use crate::loadgen::figures::{plural, time};
use crate::measure::record::{self, Generator, RunRecord, Summary};

/// In columns.
const WIDTH: usize = 80;

pub fn text(record: &RunRecord) -> String {
    let mut text = String::new();
    let written = write_plan(&mut text, record)
        .and_then(|()| write_rates(&mut text, record))
        .and_then(|()| write_latency(&mut text, record))
        .and_then(|()| write_counts(&mut text, record))
        .and_then(|()| write_end(&mut text, record));
    debug_assert!(written.is_ok(), "writing to memory");
    text
}

fn write_plan(text: &mut String, record: &RunRecord) -> Result {
    let plan = &record.plan;
    writeln!(text, "loadgen {}: {}", record.version, plan.url)?;
    let threads = plural(record.generator.threads, "thread");
    match (plan.rate, &plan.arrivals) {
        (Some(rate), Some(arrivals)) => {
            let rate = plan.profile.clone().unwrap_or_else(|| format!("{rate:.1}"));
            let seed = if arrivals == "poisson" { format!(", seed {}", plan.seed) } else { String::new() };
            writeln!(text, "  open loop, {rate} requests/s ({arrivals}{seed})")?;
            let awake = if plan.spin { ", busy-waiting between starts" } else { "" };
            writeln!(text, "  at most {}, {threads}{awake}", plural(plan.connections, "connection"))?;
        }
        _ => writeln!(text, "  closed loop, {}, {threads}", plural(plan.connections, "connection"))?,
    }
    if let Some(times) = &plan.occupy {
        writeln!(text, "  each request asks the server to take {times} (seed {})", plan.seed)?;
    }
    match record.sources.len() {
        0 if plan.shard.is_empty() || plan.shard == "1/1" => {}
        0 => writeln!(text, "  shard {} of the load", plan.shard)?,
        sources => writeln!(text, "  merged from {sources} records")?,
    }
    let interrupted = if record.interrupted { ", interrupted" } else { "" };
    let how = persistence(plan);
    let measured = format!(
        "{} measured after {} s of warm-up{interrupted}",
        time(record.duration_s * 1e6),
        plan.warmup_s
    );
    let gap = if how.len() + measured.len() + 4 > WIDTH { "\n  " } else { " " };
    writeln!(text, "  {how};{gap}{measured}\n")
}

/// The use of connections in words.
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
fn write_connections(text: &mut String, record: &RunRecord) -> Result {
    let record::Connections { opened, reused, reconnects, syn_retransmits: [_, once, twice, more] } =
        record.connections;
    if reused > 0 || reconnects > 0 {
        let items = [
            format!("{} opened,", plural(opened, "connection")),
            format!("{reconnects} reconnects;"),
            format!("{} on open connections", plural(reused, "request")),
        ];
        write_list(text, "", items.into_iter(), " ")?;
    }
    if once + twice + more > 0 {
        let items = [
            format!("SYNs lost: by {} 1,", plural(once, "connection")),
            format!("by {twice} 2,"),
            format!("by {more} 3 or more (a second or more each)"),
        ];
        write_list(text, "", items.into_iter(), " ")?;
    }
    Ok(())
}

fn write_rates(text: &mut String, record: &RunRecord) -> Result {
    let failed: u64 = record.errors.values().sum();
    let bytes = if record.completed > 0 { record.bytes as f64 / record.completed as f64 } else { 0.0 };
    writeln!(
        text,
        "  requests   {} completed, {failed} failed, {:.1}/s, {:.2} MB/s",
        record.completed,
        record.rate,
        record.rate * bytes / 1e6
    )?;
    if let Some(offered) = record.offered_rate {
        let share = if offered > 0.0 { record.sent_rate / offered * 100.0 } else { 100.0 };
        writeln!(text, "  arrivals   {offered:.1}/s offered, {:.1}/s sent ({share:.1} %)", record.sent_rate)?;
    }
    for (count, what) in [
        (record.held, "arrivals waited for a free connection (-c)"),
        (record.unsent, "arrivals were due but not sent"),
        (record.unfinished, "requests were in flight when the run was interrupted"),
    ] {
        if count > 0 {
            writeln!(text, "             {count} {what}")?;
        }
    }
    write_connections(text, record)?;
    if let Some(test) = &record.arrivals_test {
        let fit = if test.statistic > test.limit { "do not fit" } else { "fit" };
        writeln!(
            text,
            "             {fit} the plan: Anderson-Darling {:.2}, limit {:.2}",
            test.statistic, test.limit
        )?;
    }
    writeln!(text)
}

fn write_latency(text: &mut String, record: &RunRecord) -> Result {
    if record.latency.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "  {:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "mean", "p50", "p90", "p99", "p99.9", "max"
    )?;
    for phase in PHASES {
        let Some(summary) = record.latency.get(phase.name()) else { continue };
        // In a closed loop it equals the response time.
        if phase == Phase::Service && record.plan.model == "closed" {
            continue;
        }
        let Summary { mean_us, p50_us, p90_us, p99_us, p999_us, max_us, .. } = *summary;
        write!(text, "  {:<10}", phase.name().replace('_', " "))?;
        for value_us in [mean_us, p50_us, p90_us, p99_us, p999_us, max_us] {
            write!(text, " {:>9}", time(value_us))?;
        }
        writeln!(text)?;
    }
    writeln!(text)
}

/// The phase and side of a kind of failure.
fn place(kind: &str) -> &'static str {
    let Some(failure) = Failure::named(kind) else {
        return "elsewhere";
    };
    match kind {
        _ if failure.is_ours() => "loadgen itself",
        _ if failure.is_before_connection() => "connecting",
        "early-end" => "before the response",
        _ if kind.ends_with("before-response") => "before the response",
        _ if kind.ends_with("before-close") => "after the response",
        _ => "in the response",
    }
}

fn write_counts(text: &mut String, record: &RunRecord) -> Result {
    let mut label = "errors";
    for (kind, count) in &record.errors {
        writeln!(text, "  {label:<10} {count} {kind} ({})", place(kind))?;
        label = "";
        if let Some(example) = record.examples.get(kind).filter(|example| !example.is_empty()) {
            let words = format!("first: {example}");
            write_list(text, "", words.split(' ').map(str::to_owned), " ")?;
        }
    }
    let statuses = record.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
    write_list(text, "statuses", statuses, "  ")?;
    let whole = record.workers.values().sum::<u64>() as f64;
    let mut workers: Vec<_> = record.workers.iter().collect();
    workers.sort_by_key(|(name, _)| (name.parse::<u64>().unwrap_or(u64::MAX), name.as_str().to_owned()));
    let share = |count: u64| count as f64 / whole * 100.0;
    let workers =
        workers.into_iter().map(|(name, count)| format!("{name}: {count} ({:.1} %)", share(*count)));
    write_list(text, "workers", workers, "  ")
}

/// `label` and the items after it, wrapped.
fn write_list(text: &mut String, label: &str, items: impl Iterator<Item = String>, between: &str) -> Result {
    let mut line = format!("  {label:<10}");
    let empty = line.len();
    for item in items {
        if line.len() > empty && line.len() + between.len() + item.len() > WIDTH {
            writeln!(text, "{line}")?;
            line = " ".repeat(empty);
        }
        let gap = if line.len() > empty { between } else { " " };
        line = line + gap + &item;
    }
    if line.len() > empty { writeln!(text, "{line}") } else { Ok(()) }
}

fn write_end(text: &mut String, record: &RunRecord) -> Result {
    for source in &record.sources {
        writeln!(
            text,
            "  source     {}: {}, {} completed, {:.1}/s, {}",
            source.shard, source.file, source.completed, source.rate, source.verdict
        )?;
    }
    let Generator { cpu_s, busiest_thread, .. } = record.generator;
    let per_100k = match record.completed {
        0 => String::new(),
        completed => format!(" ({:.2} per 100,000 requests)", cpu_s / completed as f64 * 1e5),
    };
    writeln!(
        text,
        "  generator  {cpu_s:.2} CPU s{per_100k}, busiest thread at {:.0} %",
        busiest_thread * 100.0
    )?;
    writeln!(text, "  verdict    {}", record.verdict)?;
    for reason in &record.reasons {
        write_list(text, "", reason.split(' ').map(str::to_owned), " ")?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
