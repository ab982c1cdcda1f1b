//! The CSV files of a report: one row for each run, reason, kind of error, worker, sample, interval and phase.
//!
//! They repeat what runs.jsonl holds, for spreadsheets and for scripts. `columns.csv` says what each column holds.

use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::save;
use super::text::commit;
use crate::lab::error::{Error, Result};
use crate::lab::judge::Analysis;
use crate::lab::judge::rows::Row;
use crate::lab::results::data::{Environment, RunData};
use crate::lab::results::store::Data;
use crate::lab::spec::Factors;
use crate::measure::histogram::decode;

/// Of percentiles.csv, in the order of the columns.
const QUANTILES: [f64; 13] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 1.0];
/// What each column of each table holds, in the order of the columns. Those of `*` are the first ones of every table: where the row
/// comes from, so that tables of several results can be joined.
pub const DICTIONARY: &str = include_str!("columns.csv");

/// Writes all tables into `directory`, and the dictionary of their columns. Series and intervals without rows are left out.
pub fn write(directory: &Path, data: &Data, analysis: &Analysis) -> Result<()> {
    let tables = Tables::new(directory, &data.environment);
    tables.runs(&analysis.rows)?;
    let rows = || analysis.rows.iter();
    let reasons = rows().flat_map(|row| row.reasons.iter().map(move |why| (of_row(row), row.verdict, why)));
    tables.write("reasons.csv", reasons)?;
    let errors = rows().flat_map(|row| row.error_kinds.iter().map(move |n| (of_row(row), n)));
    tables.write("errors.csv", errors)?;
    let workers = data.runs.iter().flat_map(|run| run.workers.iter().map(move |worker| (of(run), worker)));
    tables.write("workers.csv", workers)?;
    if data.runs.iter().any(|run| !run.series.samples.is_empty()) {
        tables.write("series.csv", data.runs.iter().flat_map(samples))?;
    }
    let mut intervals = data.runs.iter().flat_map(intervals).peekable();
    if intervals.peek().is_some() {
        tables.write("intervals.csv", intervals)?;
    }
    tables.percentiles(data)?;
    save(&directory.join("columns.csv"), DICTIONARY.as_bytes())
}

/// The tables of one results folder.
struct Tables<'a> {
    directory: &'a Path,
    /// The first columns.
    source: (&'a str, &'a str, &'a str, Option<String>, &'a str, usize),
}

impl<'a> Tables<'a> {
    fn new(directory: &'a Path, environment: &'a Environment) -> Self {
        let Environment { experiment, label, started, machine, .. } = environment;
        let commit = commit(machine, "-dirty");
        Self { directory, source: (experiment, label, started, commit, &machine.kernel, machine.cores) }
    }

    /// Writes a table whose columns are those of the dictionary.
    fn write(&self, name: &str, rows: impl Iterator<Item = impl Serialize>) -> Result<()> {
        self.write_all(name, columns(name), rows)
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
        writer.write_record(columns).map_err(|e| failed(&e))?;
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
        let mut columns: Vec<&str> =
            columns("").filter(|column| fields.iter().all(|field| field != *column)).collect();
        columns.extend(fields.iter().chain(Factors::GROUPING.iter().copied()));
        self.write_all("runs.csv", columns.into_iter(), rows.iter().map(|row| (row, row.levels.texts())))
    }

    /// A row per run and phase, from the histograms.
    fn percentiles(&self, data: &Data) -> Result<()> {
        let read = data.runs.par_iter().map(|run| {
            let of_phase = |(name, text): (&String, &String)| {
                let histogram = decode(text).ok()?;
                let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
                Some((of(run), name.clone(), histogram.len(), QUANTILES.map(at)))
            };
            run.record.iter().flat_map(|record| &record.histograms).filter_map(of_phase).collect::<Vec<_>>()
        });
        let read: Vec<Vec<_>> = read.collect();
        self.write("percentiles.csv", read.into_iter().flatten())
    }
}

/// The columns of a table, in its order.
fn columns(table: &str) -> impl Iterator<Item = &'static str> {
    let column = move |line: &'static str| {
        let mut fields = line.split(',');
        fields.next().filter(|of| *of == "*" || *of == table).and_then(|_| fields.next())
    };
    DICTIONARY.lines().filter_map(column)
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

fn intervals(run: &RunData) -> impl Iterator<Item = impl Serialize> {
    run.record.iter().flat_map(|record| &record.intervals).map(move |i| {
        let counts = (i.begin_s, i.end_s, i.warmup, i.offered, i.started, i.completed, i.failed, i.rate);
        let r = &i.response;
        let latency =
            [r.p50_us, r.p90_us, r.p99_us, r.p999_us, r.max_us].map(|us| (r.count > 0).then_some(us));
        (of(run), counts, latency, i.open, i.busiest_thread)
    })
}
