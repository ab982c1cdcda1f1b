//! Output files. They are opened before the first request, so that no run is lost to a path that cannot be written,
//! and truncated only when there is something to write.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::loadgen::count::collect::Snapshot;
use crate::loadgen::count::failure;
use crate::loadgen::count::tally::{PHASES, Phase};
use crate::loadgen::error::Error;
use crate::measure::histogram::{self, Histogram};
use crate::measure::record::RunRecord;
use crate::measure::{hlog, series};

/// A file. One that did not exist before is removed again if nothing was written to it.
#[derive(Debug)]
struct Out {
    path: PathBuf,
    file: File,
    created: bool,
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
        let open =
            |new| OpenOptions::new().write(true).create(true).create_new(new).truncate(false).open(&path);
        let (file, created) = match open(true) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (open(false), false),
            file => (file, true),
        };
        let file = file.map_err(|error| unwritable(&path, &error))?;
        Ok(Some(Self { path, file, created, begun: false, failure: None }))
    }

    /// Which file it is, whatever its name. A device such as /dev/null can take several outputs.
    fn identity(&self) -> Option<(u64, u64)> {
        let about = self.file.metadata().ok().filter(Metadata::is_file)?;
        Some((about.dev(), about.ino()))
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

    fn close(mut self) -> Result<(), Error> {
        self.failure.take().map_or(Ok(()), |error| Err(unwritable(&self.path, &error)))
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if self.created && !self.begun {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Refuses options that name one file, however each spells it, or one that is read.
fn check_distinct(outs: &[(&str, Option<Out>)], inputs: &[&Path]) -> Result<(), Error> {
    let files = || outs.iter().filter_map(|(option, out)| out.as_ref().map(|out| (option, out)));
    for (at, (option, out)) in files().enumerate() {
        let same = |other: &Out| out.identity().is_some() && other.identity() == out.identity();
        if let Some((other, _)) = files().take(at).find(|(_, other)| same(other)) {
            let shown = out.path.display();
            return Err(Error::Usage(format!(
                "{other} and {option} both name {shown}; give each its own file"
            )));
        }
        let is_same = |input: &&&Path| {
            fs::metadata(input).is_ok_and(|about| out.identity() == Some((about.dev(), about.ino())))
        };
        if let Some(input) = inputs.iter().find(is_same) {
            let shown = input.display();
            return Err(Error::Usage(format!(
                "{option} would overwrite {shown}, which is read; give another file"
            )));
        }
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Paths<'a> {
    pub json: Option<&'a Path>,
    pub hgrm: Option<&'a Path>,
    pub csv: Option<&'a Path>,
    pub hlog: Option<&'a Path>,
    /// Files that are read.
    pub inputs: &'a [&'a Path],
}

#[derive(Debug)]
pub struct Files {
    json: Option<Out>,
    hgrm: Option<Out>,
    csv: Option<Out>,
    hlog: Option<Out>,
}

impl Files {
    /// Opens the files that `paths` name; the rest stays unwritten.
    /// Errors: two options name one file, or one that is read, or a file cannot be written.
    pub fn open(paths: Paths<'_>) -> Result<Self, Error> {
        let Paths { json, hgrm, csv, hlog, inputs } = paths;
        let mut outs = [("--json", json), ("--hgrm", hgrm), ("--csv", csv), ("--hlog", hlog)]
            .into_iter()
            .map(|(option, path)| Ok((option, Out::open(option, path)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        check_distinct(&outs, inputs)?;
        let mut next = || outs.remove(0).1;
        Ok(Self { json: next(), hgrm: next(), csv: next(), hlog: next() })
    }

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
    /// Errors: the first file that could not be written.
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
    fn one_file_under_two_names_is_refused_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let open = |json: &Path, csv: &Path| {
            Files::open(Paths { json: Some(json), csv: Some(csv), ..Paths::default() }).map(drop)
        };
        let other = path("x/../a").to_str().unwrap().replace("x/../", "./");
        assert_eq!(open(&path("a"), Path::new(&other)).unwrap_err().exit_code(), 2);
        assert!(!path("a").exists(), "nothing is left behind");
        fs::write(path("b"), "old").unwrap();
        fs::hard_link(path("b"), path("c")).unwrap();
        std::os::unix::fs::symlink(path("b"), path("d")).unwrap();
        for name in ["c", "d"] {
            let why = open(&path("b"), &path(name)).unwrap_err().to_string();
            assert!(why.contains("--json and --csv both name"), "{why}");
        }
        assert_eq!(fs::read_to_string(path("b")).unwrap(), "old");
        let input = path("b");
        let inputs = [input.as_path()];
        let error =
            Files::open(Paths { json: Some(&path("d")), inputs: &inputs, ..Paths::default() }).unwrap_err();
        assert!(error.to_string().contains("--json would overwrite"), "{error}");
        open(&path("a"), &path("e")).unwrap();
        assert!(!path("a").exists(), "without a result there is no file");
        open(Path::new("/dev/null"), Path::new("/dev/null")).unwrap();
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
