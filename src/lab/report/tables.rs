//! The CSV files of a report: one row for each run, reason, kind of error, worker, sample, interval and phase.
//!
//! They repeat what runs.jsonl holds, for spreadsheets and for scripts. `columns.csv` says what each column holds.

use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use crate::lab::error::{Error, Result};
use crate::lab::judge::Analysis;
use crate::lab::judge::rows::Row;
use crate::lab::results::data::{Environment, RunData};
use crate::lab::results::store::Data;
use crate::lab::spec::Factors;
use crate::measure::histogram::decode;
use crate::measure::series::IntervalSummary;

/// Columns of percentiles.csv, and the quantiles that they hold.
const QUANTILES: [(&str, f64); 13] = [
    ("p1_us", 0.01),
    ("p5_us", 0.05),
    ("p10_us", 0.1),
    ("p25_us", 0.25),
    ("p50_us", 0.5),
    ("p75_us", 0.75),
    ("p90_us", 0.9),
    ("p95_us", 0.95),
    ("p99_us", 0.99),
    ("p999_us", 0.999),
    ("p9999_us", 0.9999),
    ("p99999_us", 0.99999),
    ("max_us", 1.0),
];
/// The first columns of every table: where the row comes from, so that tables of several results can be joined.
const SOURCE: &str = "experiment label started commit kernel cores";
/// The next columns of every table but runs.csv.
const RUN: &str = "order round cell load";
const REASONS: &str = "verdict reason";
const ERRORS: &str = "kind count";
const WORKERS: &str = "worker accepted wakeups empty_wakeups launched launch_failures busy_ns";
const SERIES: &str = "at_s worker accepted open busy_ns wakeups empty_wakeups queue overflows drops";
const INTERVALS: &str = "begin_s end_s warmup offered started completed failed rate response_p50_us response_p90_us \
    response_p99_us response_p999_us response_max_us open busiest_thread";
/// What each column of each table holds.
pub const DICTIONARY: &str = include_str!("columns.csv");

/// Writes all tables into `directory`, and the dictionary of their columns. Series and intervals without rows are left out.
pub fn write(directory: &Path, data: &Data, analysis: &Analysis) -> Result<()> {
    let tables = Tables::new(directory, &data.environment);
    tables.runs(&analysis.rows)?;
    let rows = || analysis.rows.iter();
    let reasons = rows().flat_map(|row| row.reasons.iter().map(move |why| (of_row(row), row.verdict, why)));
    tables.write("reasons.csv", REASONS, reasons)?;
    tables.write(
        "errors.csv",
        ERRORS,
        rows().flat_map(|row| row.error_kinds.iter().map(move |n| (of_row(row), n))),
    )?;
    let workers = data.runs.iter().flat_map(|run| run.workers.iter().map(move |worker| (of(run), worker)));
    tables.write("workers.csv", WORKERS, workers)?;
    if data.runs.iter().any(|run| !run.series.samples.is_empty()) {
        tables.write("series.csv", SERIES, data.runs.iter().flat_map(samples))?;
    }
    let intervals =
        || data.runs.iter().flat_map(|run| intervals(run).map(move |interval| (of(run), interval)));
    if intervals().next().is_some() {
        tables.write("intervals.csv", INTERVALS, intervals().map(|(run, i)| (run, interval(i))))?;
    }
    tables.percentiles(data)?;
    let path = directory.join("columns.csv");
    std::fs::write(&path, DICTIONARY).map_err(|e| Error::file("write", &path, e))
}

/// The tables of one results folder.
struct Tables<'a> {
    directory: &'a Path,
    /// [`SOURCE`]
    source: (&'a str, &'a str, &'a str, Option<String>, &'a str, usize),
}

impl<'a> Tables<'a> {
    fn new(directory: &'a Path, environment: &'a Environment) -> Self {
        let Environment { experiment, label, started, machine, .. } = environment;
        let commit = machine
            .git
            .as_ref()
            .map(|git| format!("{}{}", git.commit, if git.dirty { "-dirty" } else { "" }));
        Self { directory, source: (experiment, label, started, commit, &machine.kernel, machine.cores) }
    }

    /// Writes a table whose columns are [`SOURCE`], [`RUN`] and `columns`.
    fn write(&self, name: &str, columns: &str, rows: impl Iterator<Item = impl Serialize>) -> Result<()> {
        self.write_all(name, RUN.split(' ').chain(columns.split_whitespace()), rows)
    }

    fn write_all<'c>(
        &self,
        name: &str,
        columns: impl Iterator<Item = &'c str>,
        rows: impl Iterator<Item = impl Serialize>,
    ) -> Result<()> {
        let path = self.directory.join(name);
        let failed = |e: &dyn Display| Error::file("write", &path, e);
        let file = File::create(&path).map_err(|e| failed(&e))?;
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(BufWriter::new(file));
        writer.write_record(SOURCE.split(' ').chain(columns)).map_err(|e| failed(&e))?;
        for row in rows {
            writer.serialize((&self.source, row)).map_err(|e| failed(&e))?;
        }
        writer.flush().map_err(|e| failed(&e))
    }

    /// The fields of [`Row`], and the factors in the last columns.
    fn runs(&self, rows: &[Row]) -> Result<()> {
        let failed = |e: &dyn Display| Error::file("write", &self.directory.join("runs.csv"), e);
        let mut sample = csv::Writer::from_writer(Vec::new());
        sample.serialize(Row::default()).map_err(|e| failed(&e))?;
        let sample = sample.into_inner().map_err(|e| failed(&e))?;
        let mut sample = csv::Reader::from_reader(sample.as_slice());
        let fields = sample.headers().map_err(|e| failed(&e))?;
        let columns = fields.iter().chain(Factors::GROUPING.iter().copied());
        self.write_all("runs.csv", columns, rows.iter().map(|row| (row, row.levels.texts())))
    }

    /// A row per run and phase, from the histograms.
    fn percentiles(&self, data: &Data) -> Result<()> {
        let phases = |run: &RunData| -> Vec<(String, u64, Vec<f64>)> {
            let of_phase = |(name, text): (&String, &String)| {
                let histogram = decode(text).ok()?;
                let at = |(_, quantile): &(&str, f64)| histogram.value_at_quantile(*quantile) as f64 / 1e3;
                Some((name.clone(), histogram.len(), QUANTILES.iter().map(at).collect()))
            };
            run.record.iter().flat_map(|record| &record.histograms).filter_map(of_phase).collect()
        };
        let read: Vec<_> = data.runs.par_iter().map(phases).collect();
        let runs = data.runs.iter().zip(read);
        let rows = runs.flat_map(|(run, phases)| phases.into_iter().map(move |row| (of(run), row)));
        let columns = ["phase", "count"].into_iter().chain(QUANTILES.iter().map(|(name, _)| *name));
        self.write("percentiles.csv", &columns.collect::<Vec<_>>().join(" "), rows)
    }
}

fn of(run: &RunData) -> (u32, u32, &str, &str) {
    (run.order, run.round, &run.cell, &run.load)
}

fn of_row(row: &Row) -> (u32, u32, &str, &str) {
    (row.order, row.round, &row.cell, &row.load)
}

/// A row per sample and worker. The queue of a listening socket stands in the row of the worker with its number.
fn samples(run: &RunData) -> impl Iterator<Item = impl Serialize> {
    let first = run.workers.first().map_or(0, |worker| worker.worker);
    run.series.samples.iter().flat_map(move |sample| {
        (0..sample.accepted.len().max(sample.queue.len())).map(move |index| {
            let at = |values: &[u64]| values.get(index).copied();
            let counts = (at(&sample.accepted), at(&sample.open), at(&sample.busy_ns));
            let wakeups = (at(&sample.wakeups), at(&sample.empty_wakeups));
            let lost = (sample.queue.get(index), sample.overflows, sample.drops);
            (of(run), sample.at_s, first + index as u64, counts, wakeups, lost)
        })
    })
}

fn intervals(run: &RunData) -> impl Iterator<Item = &IntervalSummary> {
    run.record.iter().flat_map(|record| &record.intervals)
}

fn interval(i: &IntervalSummary) -> impl Serialize {
    let counts = (i.begin_s, i.end_s, i.warmup, i.offered, i.started, i.completed, i.failed, i.rate);
    let r = &i.response;
    let latency = [r.p50_us, r.p90_us, r.p99_us, r.p999_us, r.max_us].map(|us| (r.count > 0).then_some(us));
    (counts, latency, i.open, i.busiest_thread)
}
