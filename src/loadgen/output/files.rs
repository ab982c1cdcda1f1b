//! Output files. They are opened before the first request, so that no run is lost to a path that cannot be written,
//! and truncated only when there is something to write.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::loadgen::count::{Failure, PHASES, Phase, Snapshot};
use crate::loadgen::error::Error;
use crate::measure::histogram::{self, Histogram};
use crate::measure::hlog;
use crate::measure::record::RunRecord;
use crate::measure::series::{self, IntervalSummary};

/// The file of an option. One that did not exist before is removed again if nothing was written to it.
#[derive(Debug)]
struct Out {
    option: &'static str,
    path: PathBuf,
    file: File,
    created: bool,
    begun: bool,
    failure: Option<io::Error>,
}

impl Out {
    fn open(option: &'static str, path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Err(Error::Usage(format!("{option} - is not supported; give a file, or /dev/stdout")));
        }
        let open =
            |new| OpenOptions::new().write(true).create(true).create_new(new).truncate(false).open(path);
        let (file, created) = match open(true) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (open(false), false),
            file => (file, true),
        };
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(Self { option, path: path.to_owned(), file, created, begun: false, failure: None })
    }

    /// Refuses a file of another option, however each spells it, or one that is read.
    fn check_distinct(&self, others: &[Self], inputs: &[&Path]) -> Result<(), Error> {
        // A device such as /dev/null can take several outputs.
        let Some(own) = self.file.metadata().ok().filter(Metadata::is_file) else { return Ok(()) };
        let is_own = |about: Metadata| (about.dev(), about.ino()) == (own.dev(), own.ino());
        let (option, shown) = (self.option, self.path.display());
        if let Some(other) = others.iter().find(|other| other.file.metadata().is_ok_and(is_own)) {
            let other = other.option;
            return Err(Error::Usage(format!(
                "{other} and {option} both name {shown}; give each its own file"
            )));
        }
        if let Some(input) = inputs.iter().find(|input| fs::metadata(input).is_ok_and(is_own)) {
            let shown = input.display();
            return Err(Error::Usage(format!(
                "{option} would overwrite {shown}, which is read; give another file"
            )));
        }
        Ok(())
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

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write {}: {error}", path.display()))
}

/// An option and the file that it names.
pub type Named<'a> = (&'static str, Option<&'a Path>);

#[derive(Debug)]
pub struct Files(Vec<Out>);

impl Files {
    /// Opens the files of `named`, but for JSON to standard output, which is printed elsewhere. `inputs`: files that are read.
    /// Errors: two options name one file, or one that is read, or a file cannot be written.
    pub fn open(named: &[Named<'_>], inputs: &[&Path]) -> Result<Self, Error> {
        let mut outs: Vec<Out> = Vec::new();
        let is_printed = |option: &str, path: &Path| (option, path) == ("--json", Path::new("-"));
        for (option, path) in named.iter().filter_map(|(option, path)| Some((*option, (*path)?))) {
            if !is_printed(option, path) {
                let out = Out::open(option, path)?;
                out.check_distinct(&outs, inputs)?;
                outs.push(out);
            }
        }
        Ok(Self(outs))
    }

    pub fn interval(&mut self, snapshot: &Snapshot<'_>) {
        self.begin(&snapshot.plan.target.url(), snapshot.start_unix_ns as f64 / 1e9);
        for out in &mut self.0 {
            match out.option {
                "--csv" => out.write(&series::csv_row(snapshot.last, Failure::NAMES)),
                "--hlog" => out.write(&log_lines(snapshot)),
                _ => {}
            }
        }
    }

    /// Writes the headers, once.
    fn begin(&mut self, url: &str, start_unix_s: f64) {
        for out in self.0.iter_mut().filter(|out| !out.begun) {
            match out.option {
                "--csv" => out.write(&series::csv_header(Failure::NAMES)),
                "--hlog" => {
                    let comment = format!("loadgen {}: {url}", env!("CARGO_PKG_VERSION"));
                    out.write(&hlog::header(&comment, start_unix_s));
                }
                _ => {}
            }
        }
    }

    /// Writes the result; `response`: all response times.
    /// Errors: the first file that could not be written.
    pub fn finish(mut self, record: &RunRecord, response: &Histogram) -> Result<(), Error> {
        // A search has one row per run.
        let csv = self.0.iter_mut().find(|out| out.option == "--csv");
        if let (Some(csv), Some(search)) = (csv, &record.search) {
            csv.write(&crate::loadgen::search::csv(search));
        }
        // A run that was stopped in its first interval has no headers yet.
        self.begin(&record.plan.url, record.clock.start_unix_s);
        let remarks: String = remarks(record).iter().map(|remark| hlog::comment(remark)).collect();
        for out in &mut self.0 {
            match out.option {
                "--json" => out.write(&as_json(record)?),
                "--hgrm" => out.write(&(histogram::hgrm(response) + &remarks)),
                "--hlog" => out.write(&remarks),
                _ => {}
            }
        }
        self.0.into_iter().try_for_each(Out::close)
    }
}

/// Comments for formats without a field for the verdict.
fn remarks(record: &RunRecord) -> Vec<String> {
    let verdict = [vec![format!("Verdict: {}", record.verdict)], record.reasons.clone()].concat().join("; ");
    if record.interrupted { vec!["Interrupted".into(), verdict] } else { vec![verdict] }
}

/// The histograms of an interval: the response always, so that no interval is missing, and others that have counts.
fn log_lines(snapshot: &Snapshot<'_>) -> String {
    let IntervalSummary { begin_s, end_s, warmup, .. } = *snapshot.last;
    let mut lines = String::new();
    for phase in PHASES {
        let counted = snapshot.tally.histogram(phase);
        let tag = match (warmup, phase) {
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
        let out = |option, name| Out::open(option, &path(name)).unwrap();
        let record = RunRecord {
            verdict: "CLIENT-BOUND".into(),
            reasons: vec!["busy".into()],
            interrupted: true,
            ..RunRecord::default()
        };
        let files = Files(vec![out("--hgrm", "hgrm"), out("--csv", "csv"), out("--hlog", "hlog")]);
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
            Files::open(&[("--json", Some(json)), ("--csv", Some(csv))], &[]).map(drop)
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
        let error = Files::open(&[("--json", Some(&path("d")))], &[&input]).unwrap_err();
        assert!(error.to_string().contains("--json would overwrite"), "{error}");
        open(&path("a"), &path("e")).unwrap();
        assert!(!path("a").exists(), "without a result there is no file");
        open(Path::new("/dev/null"), Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn a_full_device_is_named() {
        let files = Files::open(&[("--csv", Some(Path::new("/dev/full")))], &[]).unwrap();
        let error = files.finish(&RunRecord::default(), &histogram::new()).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
        assert_eq!(Out::open("--csv", Path::new("-")).unwrap_err().exit_code(), 2);
    }
}
