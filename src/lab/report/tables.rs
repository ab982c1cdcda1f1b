//! The CSV files of a report: every run, worker, sample, interval and percentile, one row each.
//!
//! What is in them stands in runs.jsonl too; they are for spreadsheets and for other people's scripts.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use crate::lab::error::{Error, Result};
use crate::lab::judge::Analysis;
use crate::lab::results::data::{RunData, Sample};
use crate::lab::results::store::Data;
use crate::measure::histogram::decode;
use crate::measure::series::IntervalSummary;

/// Percentiles in percentiles.csv, as shares.
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
/// What every row begins with.
const RUN: [&str; 4] = ["order", "round", "cell", "load"];

/// Writes all of them into `directory`. Those without rows are not written, and in a small copy only what is small.
///
/// # Errors
/// A file cannot be written.
pub fn write(directory: &Path, data: &Data, analysis: &Analysis) -> Result<()> {
    let mut table = Table::create(directory, "runs.csv")?;
    analysis.rows.iter().try_for_each(|row| table.row(row))?;
    table.finish()?;
    workers(directory, data)?;
    if data.kept {
        return Ok(());
    }
    if data.runs.iter().any(|run| !run.series.samples.is_empty()) {
        series(directory, data)?;
    }
    if data.runs.iter().any(|run| run.record.as_ref().is_some_and(|record| !record.intervals.is_empty())) {
        intervals(directory, data)?;
    }
    percentiles(directory, data)
}

/// A file that is being written.
struct Table {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
}

impl Table {
    fn create(directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(name);
        let file = File::create(&path).map_err(|e| Error::file("write", &path, e))?;
        let writer = csv::Writer::from_writer(BufWriter::new(file));
        Ok(Self { path, writer })
    }

    fn head<'b>(directory: &Path, name: &str, columns: impl IntoIterator<Item = &'b str>) -> Result<Self> {
        let mut table = Self::create(directory, name)?;
        let head: Vec<&str> = RUN.into_iter().chain(columns).collect();
        table.writer.write_record(head).map_err(|e| Error::file("write", &table.path, e))?;
        Ok(table)
    }

    fn row(&mut self, row: impl Serialize) -> Result<()> {
        self.writer.serialize(row).map_err(|e| Error::file("write", &self.path, e))
    }

    fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(|e| Error::file("write", &self.path, e))
    }
}

fn of(run: &RunData) -> (u32, u32, &str, &str) {
    (run.order, run.round, &run.cell, &run.load)
}

fn workers(directory: &Path, data: &Data) -> Result<()> {
    let columns =
        ["worker", "accepted", "wakeups", "empty_wakeups", "launched", "launch_failures", "busy_ns"];
    let mut table = Table::head(directory, "workers.csv", columns)?;
    for run in &data.runs {
        for w in &run.workers {
            let counts =
                (w.worker, w.accepted, w.wakeups, w.empty_wakeups, w.launched, w.launch_failures, w.busy_ns);
            table.row((of(run), counts))?;
        }
    }
    table.finish()
}

/// A row per sample and worker. A listening socket's queue stands in the row of the worker of its number.
fn series(directory: &Path, data: &Data) -> Result<()> {
    let columns = [
        "at_s",
        "worker",
        "accepted",
        "open",
        "busy_ns",
        "wakeups",
        "empty_wakeups",
        "queue",
        "overflows",
        "drops",
    ];
    let mut table = Table::head(directory, "series.csv", columns)?;
    for run in &data.runs {
        let first = run.workers.first().map_or(0, |worker| worker.worker);
        for sample in &run.series.samples {
            for index in 0..rows(sample) {
                let at = |values: &[u64]| values.get(index).copied();
                let counts = (at(&sample.accepted), at(&sample.open), at(&sample.busy_ns));
                let wakeups = (at(&sample.wakeups), at(&sample.empty_wakeups));
                let lost = (sample.queue.get(index), sample.overflows, sample.drops);
                table.row((of(run), sample.at_s, first + index as u64, counts, wakeups, lost))?;
            }
        }
    }
    table.finish()
}

fn rows(sample: &Sample) -> usize {
    sample.accepted.len().max(sample.queue.len())
}

fn intervals(directory: &Path, data: &Data) -> Result<()> {
    let columns = [
        "begin_s",
        "end_s",
        "warmup",
        "offered",
        "started",
        "completed",
        "failed",
        "rate",
        "response_p50_us",
        "response_p90_us",
        "response_p99_us",
        "response_p999_us",
        "response_max_us",
        "open",
        "busiest_thread",
    ];
    let mut table = Table::head(directory, "intervals.csv", columns)?;
    for run in &data.runs {
        for i in run.record.iter().flat_map(|record| &record.intervals) {
            let IntervalSummary { begin_s, end_s, warmup, offered, started, completed, failed, rate, .. } = i;
            let counts = (begin_s, end_s, warmup, offered, started, completed, failed, rate);
            let r = (i.response.count > 0).then_some(&i.response);
            let latency = (
                r.map(|r| r.p50_us),
                r.map(|r| r.p90_us),
                r.map(|r| r.p99_us),
                r.map(|r| r.p999_us),
                r.map(|r| r.max_us),
            );
            table.row((of(run), counts, latency, i.open, i.busiest_thread))?;
        }
    }
    table.finish()
}

/// A row per run and phase, read off the histograms, which are decoded a few at a time.
fn percentiles(directory: &Path, data: &Data) -> Result<()> {
    let columns = ["phase", "count"].into_iter().chain(QUANTILES.iter().map(|(name, _)| *name));
    let mut table = Table::head(directory, "percentiles.csv", columns)?;
    let phases = |run: &RunData| -> Vec<(String, u64, Vec<f64>)> {
        let of_phase = |(name, text): (&String, &String)| {
            let histogram = decode(text).ok()?;
            let at = |(_, quantile): &(&str, f64)| histogram.value_at_quantile(*quantile) as f64 / 1e3;
            Some((name.clone(), histogram.len(), QUANTILES.iter().map(at).collect()))
        };
        run.record.iter().flat_map(|record| &record.histograms).filter_map(of_phase).collect()
    };
    let read: Vec<_> = data.runs.par_iter().map(phases).collect();
    for (run, phases) in data.runs.iter().zip(read) {
        for (phase, count, values) in phases {
            table.row((of(run), phase, count, values))?;
        }
    }
    table.finish()
}
