//! The files that a result goes to. They are opened before the first request, so that a run is not lost for a path
//! that cannot be written, and emptied only when there is something to put in. It computes nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::cli::merge::MergeArgs;
use super::cli::output::OutputArgs;
use super::collect::Snapshot;
use super::error::Error;
use super::fault;
use super::tally::{PHASES, Phase};
use crate::measure::histogram::{self, Histogram};
use crate::measure::record::RunRecord;
use crate::measure::{hlog, series};

/// One file.
#[derive(Debug)]
struct Out {
    path: PathBuf,
    file: File,
    begun: bool,
    failure: Option<io::Error>,
}

impl Out {
    fn open(path: &Option<PathBuf>) -> Result<Option<Self>, Error> {
        let Some(path) = path.clone().filter(|path| path != Path::new("-")) else { return Ok(None) };
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| unwritable(&path, &error))?;
        Ok(Some(Self { path, file, begun: false, failure: None }))
    }

    /// Writes on; the first failure is kept for [`close`](Self::close), and nothing is written after it.
    fn write(&mut self, text: &str) {
        if self.failure.is_some() {
            return;
        }
        if !self.begun {
            self.begun = true;
            // What is no regular file has no length.
            let _ = self.file.set_len(0);
        }
        self.failure = self.file.write_all(text.as_bytes()).err();
    }

    fn close(self) -> Result<(), Error> {
        self.failure.map_or(Ok(()), |error| Err(unwritable(&self.path, &error)))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

/// All files of one result.
#[derive(Debug)]
pub struct Files {
    json: Option<Out>,
    hgrm: Option<Out>,
    csv: Option<Out>,
    hlog: Option<Out>,
}

impl Files {
    /// Those of a run.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn open(args: &OutputArgs) -> Result<Self, Error> {
        Ok(Self {
            json: Out::open(&args.json)?,
            hgrm: Out::open(&args.hgrm)?,
            csv: Out::open(&args.csv)?,
            hlog: Out::open(&args.hlog)?,
        })
    }

    /// Those of a merged result.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn open_merged(args: &MergeArgs) -> Result<Self, Error> {
        Ok(Self { json: Out::open(&args.json)?, hgrm: Out::open(&args.hgrm)?, csv: None, hlog: None })
    }

    /// An interval is complete.
    pub fn interval(&mut self, snapshot: &Snapshot<'_>) {
        if let Some(csv) = &mut self.csv {
            let kinds = fault::ALL.map(fault::Fault::name);
            if !csv.begun {
                csv.write(&series::csv_header(&kinds));
            }
            csv.write(&series::csv_row(snapshot.summary, &kinds));
        }
        if let Some(log) = &mut self.hlog {
            if !log.begun {
                let comment =
                    format!("loadgen {}: {}", env!("CARGO_PKG_VERSION"), snapshot.plan.target.url());
                log.write(&hlog::header(&comment, snapshot.start_unix_ns as f64 / 1e9));
            }
            log.write(&log_lines(snapshot));
        }
    }

    /// The result is there. `response`: all response times.
    ///
    /// # Errors
    /// The first file that could not be written.
    pub fn finish(mut self, record: &RunRecord, response: &Histogram) -> Result<(), Error> {
        if let Some(json) = &mut self.json {
            json.write(&as_json(record)?);
        }
        if let Some(hgrm) = &mut self.hgrm {
            hgrm.write(&histogram::hgrm(response));
        }
        for remarked in [&mut self.hgrm, &mut self.hlog].into_iter().flatten().filter(|out| out.begun) {
            for remark in remarks(record) {
                remarked.write(&hlog::comment(&remark));
            }
        }
        [self.json, self.hgrm, self.csv, self.hlog].into_iter().flatten().try_for_each(Out::close)
    }
}

/// What a file without a place for it has to say too.
fn remarks(record: &RunRecord) -> Vec<String> {
    let verdict = [vec![format!("Verdict: {}", record.verdict)], record.reasons.clone()].concat().join("; ");
    if record.interrupted { vec!["Interrupted".into(), verdict] } else { vec![verdict] }
}

/// The histograms of an interval: that of the response always, so that no interval is missing, and the others where
/// something was counted.
fn log_lines(snapshot: &Snapshot<'_>) -> String {
    let interval = snapshot.last;
    let (begin_s, end_s) = (interval.begin_ns as f64 / 1e9, interval.end_ns as f64 / 1e9);
    let mut lines = String::new();
    for phase in PHASES {
        let counted = interval.tally.histogram(phase);
        let tag = match (interval.warmup, phase) {
            (false, Phase::Response) => None,
            (false, phase) => Some(phase.name().to_owned()),
            (true, Phase::Response) => Some("warmup".to_owned()),
            (true, phase) => Some(format!("warmup_{}", phase.name())),
        };
        if phase == Phase::Response || !counted.is_empty() {
            lines += &hlog::line(tag.as_deref(), begin_s, end_s - begin_s, counted);
        }
    }
    lines
}

/// A record as JSON, with a line feed.
///
/// # Errors
/// None that is known of.
pub fn as_json(record: &RunRecord) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(record);
    json.map(|json| json + "\n")
        .map_err(|error| Error::Failed(format!("cannot write the result as JSON: {error}")))
}
