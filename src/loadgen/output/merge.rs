//! Merges the records of several processes that shared one plan. Pure. Histograms are merged and rates added;
//! percentiles come from the merged histograms and are never averaged.

use std::collections::BTreeMap;

use super::text::connection_use;
use crate::loadgen::schedule::Shard;
use crate::measure::histogram::{self, Histogram};
use crate::measure::record::{self, Clock, RunRecord, Source};

/// Largest distance between the starts of the shards of one run, in seconds.
const APART_S: f64 = 1.0;
/// Verdicts, the worst last.
const VERDICTS: [&str; 5] = ["OK", "CLIENT-BOUND", "ERRORS", "FAILED", "INVALID"];

/// The name of a file and its record.
pub type Named = (String, RunRecord);

/// Why records do not belong together; empty if they do.
pub fn misfits(records: &[Named]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(((first_file, first), others)) = records.split_first() else { return found };
    for (file, other) in others {
        let plans = facts(&first.plan).into_iter().zip(facts(&other.plan));
        for ((name, left), (_, right)) in plans.filter(|(left, right)| left != right) {
            found.push(format!("{name} is {left} in {first_file} and {right} in {file}"));
        }
    }
    found.extend(shards(records));
    let starts = || records.iter().map(|(_, record)| record.clock.start_unix_s);
    let apart_s = starts().fold(f64::MIN, f64::max) - starts().fold(f64::MAX, f64::min);
    if apart_s > APART_S {
        found.push(format!("they started {apart_s:.1} s apart (use --start-at)"));
    }
    found
}

/// What the shards of one plan have in common.
fn facts(plan: &record::Plan) -> [(&'static str, String); 14] {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
    [
        ("the target", plan.url.clone()),
        ("the socket", shown(&plan.unix_socket)),
        ("the loop", plan.model.clone()),
        ("the rate", shown(&plan.profile)),
        ("the kind of arrivals", shown(&plan.arrivals)),
        ("busy-waiting (--spin)", plan.spin.to_string()),
        ("the seed", plan.seed.to_string()),
        ("the warm-up", format!("{} s", plan.warmup_s)),
        ("the duration", format!("{} s", plan.duration_s)),
        ("the interval", format!("{} s", plan.interval_s)),
        ("the use of connections", connection_use(plan)),
        ("the think time", shown(&plan.think)),
        ("the time to take (--occupy)", shown(&plan.occupy)),
        ("the number of shards", Shard::parse(&plan.shard).map_or(1, |shard| shard.of).to_string()),
    ]
}

fn shards(records: &[Named]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    let mut number = 1;
    for (file, record) in records {
        let shard = Shard::parse(&record.plan.shard).unwrap_or(Shard { index: 0, of: 1 });
        number = number.max(shard.of);
        if let Some(other) = seen.insert(shard.index, file) {
            found.push(format!("{other} and {file} are both shard {} (use --shard)", shard.name()));
        }
    }
    let missing: Vec<String> = (0..number)
        .filter(|index| !seen.contains_key(index))
        .take(10)
        .map(|index| (index + 1).to_string())
        .collect();
    if !missing.is_empty() {
        found.push(format!("these of {number} shards are missing: {}", missing.join(", ")));
    }
    found
}

/// One record for all of `records`, and its response times. `misfits` become reasons of the verdict.
/// Errors: the file whose histogram cannot be decoded, and why.
///
/// # Panics
/// Without a record.
pub fn merge(records: &[Named], misfits: Vec<String>) -> Result<(RunRecord, Histogram), String> {
    let histograms = merged_histograms(records)?;
    let first = &records[0].1;
    let all = || records.iter().map(|(_, record)| record);
    // Files may hold any number: sums must not overflow.
    let sum = |count: fn(&RunRecord) -> u64| all().map(count).fold(0, u64::saturating_add);
    let most = |value: fn(&RunRecord) -> f64| all().map(value).fold(0.0, f64::max);
    let own_reasons = records
        .iter()
        .flat_map(|(file, record)| record.reasons.iter().map(move |reason| format!("{file}: {reason}")));
    let is_same = all().all(|record| record.profile == first.profile);
    let mut connections = record::Connections::default();
    all().for_each(|record| connections.add(&record.connections));
    let merged = RunRecord {
        schema: record::SCHEMA,
        version: first.version.clone(),
        profile: if is_same { first.profile.clone() } else { "debug".into() },
        plan: plan(records, sum(|record| record.plan.connections)),
        duration_s: most(|record| record.duration_s),
        started: sum(|record| record.started),
        completed: sum(|record| record.completed),
        rate: all().map(|record| record.rate).sum(),
        offered_rate: all().map(|record| record.offered_rate).sum(),
        sent_rate: all().map(|record| record.sent_rate).sum(),
        held: sum(|record| record.held),
        unsent: sum(|record| record.unsent),
        unfinished: sum(|record| record.unfinished),
        connections,
        interrupted: all().any(|record| record.interrupted),
        bytes: sum(|record| record.bytes),
        errors: by_name(all().map(|record| &record.errors)),
        examples: all().rev().flat_map(|record| record.examples.clone()).collect(),
        statuses: by_name(all().map(|record| &record.statuses)),
        workers: by_name(all().map(|record| &record.workers)),
        latency: histograms.iter().map(|(name, all)| (name.clone(), histogram::summary(all))).collect(),
        histograms: histograms.iter().map(|(name, all)| (name.clone(), histogram::encode(all))).collect(),
        incidents_left_out: sum(|record| {
            record.incidents_left_out.saturating_add(record.incidents.len() as u64)
        }),
        arrivals_test: all()
            .filter_map(|record| record.arrivals_test.clone())
            .max_by(|left, right| left.statistic.total_cmp(&right.statistic)),
        clock: clock(records),
        sources: records.iter().map(|(file, record)| source(file, record)).collect(),
        generator: record::Generator {
            threads: sum(|record| record.generator.threads),
            cpu_s: all().map(|record| record.generator.cpu_s).sum(),
            busiest_thread: most(|record| record.generator.busiest_thread),
        },
        verdict: if misfits.is_empty() { worst(all()) } else { "INVALID" }.into(),
        reasons: misfits.into_iter().chain(own_reasons).collect(),
        ..RunRecord::default()
    };
    let response = histograms.into_iter().find(|(name, _)| name == "response");
    Ok((merged, response.map_or_else(histogram::new, |(_, response)| response)))
}

fn plan(records: &[Named], connections: u64) -> record::Plan {
    let all = || records.iter().map(|(_, record)| &record.plan);
    let requests = all().map(|plan| plan.requests);
    record::Plan {
        connections,
        rate: all().map(|plan| plan.rate).sum(),
        requests: requests.reduce(|one, other| Some(one?.saturating_add(other?))).flatten(),
        shard: "1/1".into(),
        ..records[0].1.plan.clone()
    }
}

fn by_name<'a>(parts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut whole = BTreeMap::new();
    for (name, count) in parts.flatten() {
        let sum: &mut u64 = whole.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    whole
}

fn merged_histograms(records: &[Named]) -> Result<BTreeMap<String, Histogram>, String> {
    let mut merged = BTreeMap::new();
    for (file, record) in records {
        for (name, text) in &record.histograms {
            let part = histogram::decode(text).map_err(|error| format!("{file}: {error}"))?;
            histogram::add(merged.entry(name.clone()).or_insert_with(histogram::new), &part);
        }
    }
    Ok(merged)
}

/// The first start, with the largest error of all clocks.
fn clock(records: &[Named]) -> Clock {
    let clocks = || records.iter().map(|(_, record)| &record.clock);
    let worst = clocks().max_by_key(|clock| clock.max_error_us).cloned().unwrap_or_default();
    Clock { start_unix_s: clocks().map(|clock| clock.start_unix_s).fold(f64::MAX, f64::min), ..worst }
}

fn source(file: &str, record: &RunRecord) -> Source {
    Source {
        file: file.to_owned(),
        shard: record.plan.shard.clone(),
        start_unix_s: record.clock.start_unix_s,
        duration_s: record.duration_s,
        completed: record.completed,
        rate: record.rate,
        verdict: record.verdict.clone(),
    }
}

/// The worst verdict; an unknown one counts as INVALID.
fn worst<'a>(records: impl Iterator<Item = &'a RunRecord>) -> &'static str {
    let last = VERDICTS.len() - 1;
    let rank = |record: &RunRecord| VERDICTS.iter().position(|known| *known == record.verdict);
    VERDICTS[records.map(|record| rank(record).unwrap_or(last)).max().unwrap_or(last)]
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
