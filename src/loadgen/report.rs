//! What the run found, as a record and as text. It counts nothing and sends nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::engine::Found;
use super::plan::{Load, Plan};
use super::tally::{PHASES, Phase, Tally};
use super::verdict::judge;
use crate::measure::histogram;
use crate::measure::record::{self, Generator, RunRecord, Summary};

/// Puts together what the threads of `plan` found. `interrupted`: the run was stopped before its end.
pub fn record(plan: &Plan, found: &[Found], interrupted: bool) -> RunRecord {
    let mut tally = Tally::default();
    found.iter().for_each(|found| tally.add(&found.tally));
    let duration_s = duration_s(plan, found, interrupted);
    let share =
        |found: &Found| if found.wall_ns == 0 { 0.0 } else { found.cpu_ns as f64 / found.wall_ns as f64 };
    let busiest = found.iter().map(share).fold(0.0, f64::max);
    let verdict = judge(matches!(plan.load, Load::Open(_)), &tally, busiest);
    let per_fault = |text: &dyn Fn(_) -> String| -> BTreeMap<String, String> {
        tally.faults().map(|(fault, _)| (fault.name().to_owned(), text(fault))).collect()
    };
    let phases = || PHASES.into_iter().filter(|phase| !tally.histogram(*phase).is_empty());
    RunRecord {
        schema: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        plan: plan_record(plan),
        duration_s,
        started: tally.started,
        completed: tally.completed,
        rate: if duration_s > 0.0 { tally.completed as f64 / duration_s } else { 0.0 },
        held: tally.held,
        unsent: tally.unsent,
        unfinished: tally.unfinished,
        interrupted,
        bytes: tally.bytes,
        errors: tally.faults().map(|(fault, count)| (fault.name().into(), count)).collect(),
        examples: per_fault(&|fault| tally.example(fault).to_owned()),
        statuses: tally.statuses(),
        workers: tally.workers(),
        latency: phases()
            .map(|phase| (phase.name().into(), histogram::summary(tally.histogram(phase))))
            .collect(),
        histograms: phases()
            .map(|phase| (phase.name().into(), histogram::encode(tally.histogram(phase))))
            .collect(),
        generator: Generator {
            threads: found.len() as u64,
            cpu_s: found.iter().map(|found| found.cpu_ns as f64 / 1e9).sum(),
            busiest_thread: busiest,
        },
        verdict: verdict.name.into(),
        reasons: verdict.reasons,
        ..RunRecord::default()
    }
}

/// How long was measured: as planned; up to the interruption; or, where a number of requests ended the run, until
/// the last of them was answered (closed loop) or the next would have been due (open loop).
fn duration_s(plan: &Plan, found: &[Found], interrupted: bool) -> f64 {
    let planned = plan.duration_ns.map_or(f64::INFINITY, |duration| duration as f64 / 1e9);
    let last_ns =
        found.iter().map(|found| found.finished.saturating_sub(found.window.begin)).max().unwrap_or(0);
    let wall_ns = found.iter().map(|found| found.wall_ns).max().unwrap_or(0);
    let measured = match (plan.load, plan.requests) {
        _ if interrupted => wall_ns as f64 / 1e9,
        (_, None) => planned,
        (Load::Closed, Some(_)) => last_ns as f64 / 1e9,
        (Load::Open(schedule), Some(requests)) => requests as f64 / schedule.rate,
    };
    measured.min(planned)
}

fn plan_record(plan: &Plan) -> record::Plan {
    let (model, rate, arrivals) = match plan.load {
        Load::Closed => ("closed", None, None),
        Load::Open(schedule) => ("open", Some(schedule.rate), Some(schedule.arrivals.name().to_owned())),
    };
    record::Plan {
        url: plan.target.url(),
        model: model.into(),
        connections: plan.connections as u64,
        rate,
        arrivals,
        seed: plan.seed,
        duration_s: plan.duration_ns.unwrap_or(0) as f64 / 1e9,
        requests: plan.requests,
        warmup_s: plan.warmup_ns as f64 / 1e9,
        ..record::Plan::default()
    }
}

/// The summary for people, at most 80 columns wide where names and reasons permit.
pub fn text(record: &RunRecord) -> String {
    let mut text = String::new();
    let _ = write_head(&mut text, record);
    let _ = write_latency(&mut text, record);
    let _ = write_counts(&mut text, record);
    let _ = write_end(&mut text, record);
    text
}

fn write_head(text: &mut String, record: &RunRecord) -> std::fmt::Result {
    let plan = &record.plan;
    writeln!(text, "loadgen {}: {}", record.version, plan.url)?;
    let threads = match record.generator.threads {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    };
    match (plan.rate, &plan.arrivals) {
        (Some(rate), Some(arrivals)) => writeln!(
            text,
            "  open loop, {rate} requests/s ({arrivals}), at most {} connections, {threads}",
            plan.connections
        )?,
        _ => writeln!(text, "  closed loop, {} connections, {threads}", plan.connections)?,
    }
    let interrupted = if record.interrupted { ", interrupted" } else { "" };
    writeln!(
        text,
        "  new connection per request; {} measured after {} s of warm-up{interrupted}\n",
        time(record.duration_s * 1e6),
        plan.warmup_s
    )?;
    let failed: u64 = record.errors.values().sum();
    let megabytes = if record.duration_s > 0.0 { record.bytes as f64 / record.duration_s / 1e6 } else { 0.0 };
    writeln!(
        text,
        "  requests   {} completed, {failed} failed, {:.1}/s, {megabytes:.2} MB/s",
        record.completed, record.rate
    )?;
    for (count, what) in [
        (record.held, "arrivals waited for a free connection (-c)"),
        (record.unsent, "arrivals were due and could not be sent"),
        (record.unfinished, "requests were still on their way when the run was interrupted"),
    ] {
        if count > 0 {
            writeln!(text, "             {count} {what}")?;
        }
    }
    writeln!(text)
}

fn write_latency(text: &mut String, record: &RunRecord) -> std::fmt::Result {
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
        // In a closed loop a request starts when it is sent: the two are one.
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

/// A time with three or four digits and its unit.
fn time(value_us: f64) -> String {
    let (value, unit) = match value_us {
        us if us < 1000.0 => (us, "us"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

fn write_counts(text: &mut String, record: &RunRecord) -> std::fmt::Result {
    let mut label = "errors";
    for (kind, count) in &record.errors {
        let example = record.examples.get(kind).map_or("", String::as_str);
        writeln!(text, "  {label:<10} {kind}: {count} (first: {example})")?;
        label = "";
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

/// `label` and the items behind it, as many in a line as fit into 80 columns.
fn write_list(
    text: &mut String,
    label: &str,
    items: impl Iterator<Item = String>,
    between: &str,
) -> std::fmt::Result {
    let mut line = format!("  {label:<10}");
    let empty = line.len();
    for item in items {
        if line.len() > empty && line.len() + between.len() + item.len() > 80 {
            writeln!(text, "{line}")?;
            line = " ".repeat(empty);
        }
        let gap = if line.len() > empty { between } else { " " };
        line = line + gap + &item;
    }
    if line.len() > empty { writeln!(text, "{line}") } else { Ok(()) }
}

fn write_end(text: &mut String, record: &RunRecord) -> std::fmt::Result {
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
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits_and_name_their_unit() {
        assert_eq!(
            [0.0, 9.876, 12.34, 999.9, 1000.0, 56_780.0, 1e6, 59.9e6].map(time),
            ["0.00 us", "9.88 us", "12.3 us", "1000 us", "1.00 ms", "56.8 ms", "1.00 s", "59.9 s"]
        );
    }

    #[test]
    fn the_text_fits_into_80_columns_and_lists_workers_in_their_order() {
        let mut record =
            RunRecord { completed: 10, duration_s: 1.0, verdict: "OK".into(), ..RunRecord::default() };
        record.workers = (0..12).map(|worker| (worker.to_string(), 10_000)).collect();
        record.latency.insert("response".into(), Summary { p50_us: 1.0, ..Summary::default() });
        record.plan.model = "closed".into();
        let text = text(&record);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(text.find("  9: 10000").unwrap() < text.find("  10: 10000").unwrap(), "{text}");
    }
}
