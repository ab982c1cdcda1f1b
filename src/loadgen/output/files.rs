//! Output files. They are opened before the first request, so that no run is lost to a path that cannot be written,
//! and truncated only when there is something to write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::loadgen::count::collect::Snapshot;
use crate::loadgen::count::failure;
use crate::loadgen::count::tally::{PHASES, Phase};
use crate::loadgen::error::Error;
use crate::measure::histogram::{self, Histogram};
use crate::measure::record::RunRecord;
use crate::measure::{hlog, series};

#[derive(Debug)]
struct Out {
    path: PathBuf,
    file: File,
    begun: bool,
    failure: Option<io::Error>,
}

impl Out {
    /// `None` for JSON to standard output, which is printed elsewhere.
    fn open(option: &str, path: Option<&Path>) -> Result<Option<Self>, Error> {
        let Some(path) = path.map(Path::to_owned) else { return Ok(None) };
        if path == Path::new("-") {
            if option == "--json" {
                return Ok(None);
            }
            return Err(Error::Usage(format!("{option} - is not supported; give a file, or /dev/stdout")));
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| unwritable(&path, &error))?;
        Ok(Some(Self { path, file, begun: false, failure: None }))
    }

    /// Appends; [`close`](Self::close) returns the first failure, after which nothing is written.
    fn write(&mut self, text: &str) {
        if self.failure.is_some() {
            return;
        }
        if !self.begun {
            self.begun = true;
            // Fails unless it is a regular file.
            let _ = self.file.set_len(0);
        }
        self.failure = self.file.write_all(text.as_bytes()).err();
    }

    fn close(self) -> Result<(), Error> {
        self.failure.map_or(Ok(()), |error| Err(unwritable(&self.path, &error)))
    }
}

fn check_distinct(named: &[(&str, Option<&Path>)]) -> Result<(), Error> {
    for (at, (option, path)) in named.iter().enumerate() {
        // A device such as /dev/null can take both.
        let Some(path) = path.filter(|path| !path.exists() || path.is_file()) else { continue };
        if let Some((other, _)) = named[..at].iter().find(|(_, other)| *other == Some(path)) {
            let shown = path.display();
            return Err(Error::Usage(format!(
                "{other} and {option} both name {shown}; give each its own file"
            )));
        }
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

/// Where each format goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paths<'a> {
    pub json: Option<&'a Path>,
    pub hgrm: Option<&'a Path>,
    pub csv: Option<&'a Path>,
    pub hlog: Option<&'a Path>,
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
    /// Opens the files that `paths` name; the rest stays unwritten.
    ///
    /// # Errors
    /// Two options name one file, or a file cannot be written.
    pub fn open(paths: Paths<'_>) -> Result<Self, Error> {
        let Paths { json, hgrm, csv, hlog } = paths;
        let named = [("--json", json), ("--hgrm", hgrm), ("--csv", csv), ("--hlog", hlog)];
        check_distinct(&named)?;
        let [json, hgrm, csv, hlog] = named.map(|(option, path)| Out::open(option, path));
        Ok(Self { json: json?, hgrm: hgrm?, csv: csv?, hlog: hlog? })
    }

    /// Writes an interval.
    pub fn interval(&mut self, snapshot: &Snapshot<'_>) {
        self.begin(&snapshot.plan.target.url(), snapshot.start_unix_ns as f64 / 1e9);
        if let Some(csv) = &mut self.csv {
            csv.write(&series::csv_row(snapshot.summary, failure::NAMES));
        }
        if let Some(log) = &mut self.hlog {
            log.write(&log_lines(snapshot));
        }
    }

    /// Writes the headers, once.
    fn begin(&mut self, url: &str, start_unix_s: f64) {
        if let Some(csv) = self.csv.as_mut().filter(|csv| !csv.begun) {
            csv.write(&series::csv_header(failure::NAMES));
        }
        if let Some(log) = self.hlog.as_mut().filter(|log| !log.begun) {
            let comment = format!("loadgen {}: {url}", env!("CARGO_PKG_VERSION"));
            log.write(&hlog::header(&comment, start_unix_s));
        }
    }

    /// Writes the result; `response`: all response times.
    ///
    /// # Errors
    /// The first file that could not be written.
    pub fn finish(mut self, record: &RunRecord, response: &Histogram) -> Result<(), Error> {
        // A search has one row per run.
        if let (Some(csv), Some(search)) = (&mut self.csv, &record.search) {
            csv.write(&crate::loadgen::search::csv(search));
        }
        // A run that was stopped in its first interval has no headers yet.
        self.begin(&record.plan.url, record.clock.start_unix_s);
        if let Some(json) = &mut self.json {
            json.write(&as_json(record)?);
        }
        if let Some(hgrm) = &mut self.hgrm {
            hgrm.write(&histogram::hgrm(response));
        }
        for out in [&mut self.hgrm, &mut self.hlog].into_iter().flatten() {
            remarks(record).iter().for_each(|remark| out.write(&hlog::comment(remark)));
        }
        [self.json, self.hgrm, self.csv, self.hlog].into_iter().flatten().try_for_each(Out::close)
    }
}

/// Comments for formats without a field for the verdict.
fn remarks(record: &RunRecord) -> Vec<String> {
    let verdict = [vec![format!("Verdict: {}", record.verdict)], record.reasons.clone()].concat().join("; ");
    if record.interrupted { vec!["Interrupted".into(), verdict] } else { vec![verdict] }
}

/// The histograms of an interval: the response always, so that no interval is missing, and others that have counts.
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

/// # Errors
/// It cannot be serialized.
pub fn as_json(record: &RunRecord) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(record);
    json.map(|json| json + "\n")
        .map_err(|error| Error::Failed(format!("cannot write the result as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_without_a_field_for_the_verdict_have_it_in_a_comment() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let out = |name: &str| Out::open("--x", Some(&path(name))).unwrap();
        let record = RunRecord {
            verdict: "CLIENT-BOUND".into(),
            reasons: vec!["busy".into()],
            interrupted: true,
            ..RunRecord::default()
        };
        let files = Files { json: None, hgrm: out("hgrm"), csv: out("csv"), hlog: out("hlog") };
        files.finish(&record, &histogram::new()).unwrap();
        for name in ["hgrm", "hlog"] {
            let text = std::fs::read_to_string(path(name)).unwrap();
            assert!(text.ends_with("#[Interrupted]\n#[Verdict: CLIENT-BOUND; busy]\n"), "{name}: {text}");
        }
        assert!(std::fs::read_to_string(path("csv")).unwrap().contains(",client_bound,interrupted,"));
    }

    #[test]
    fn a_full_device_is_named() {
        let full = Out::open("--csv", Some(Path::new("/dev/full"))).unwrap();
        let files = Files { json: None, hgrm: None, csv: full, hlog: None };
        let error = files.finish(&RunRecord::default(), &histogram::new()).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
        assert_eq!(Out::open("--csv", Some(Path::new("-"))).unwrap_err().exit_code(), 2);
    }
}
