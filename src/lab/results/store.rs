//! The results folder: created once, never overwritten, written run by run.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::data::{Environment, OLDEST_SCHEMA, RunData, SCHEMA};
use crate::lab::error::{Error, Result, write};
use crate::lab::spec::Spec;
use crate::sys::lock;

pub const SPEC: &str = "spec.toml";
/// [`Environment`].
const MACHINE: &str = "machine.json";
const RUNS: &str = "runs.jsonl";
/// The same, compressed, in a kept copy.
const KEPT_RUNS: &str = "runs.jsonl.gz";
/// A remark on the results, shown at the head of their report.
const NOTE: &str = "note.txt";

#[derive(Clone, Debug)]
pub struct Data {
    pub spec: Spec,
    pub environment: Environment,
    /// In the order in which they were made.
    pub runs: Vec<RunData>,
    /// Name of the file that they were read from.
    pub file: &'static str,
    pub note: Option<String>,
}

/// A results folder being written.
#[derive(Debug)]
pub struct Results {
    pub directory: PathBuf,
    runs: File,
}

impl Results {
    /// Creates `base/experiment/time-label`. An existing folder is left alone, and a number added.
    pub fn create(base: &Path, spec_text: &str, environment: &Environment) -> Result<Self> {
        let parent = base.join(&environment.experiment);
        fs::create_dir_all(&parent).map_err(|e| Error::file("make the results folder", &parent, e))?;
        let directory = fresh(&parent, &format!("{}-{}", environment.started, environment.label))?;
        Self::begin(directory, spec_text, environment)
    }

    pub fn create_at(directory: &Path, spec_text: &str, environment: &Environment) -> Result<Self> {
        fs::create_dir(directory).map_err(|e| Error::file("make the results folder", directory, e))?;
        Self::begin(directory.to_owned(), spec_text, environment)
    }

    fn begin(directory: PathBuf, spec_text: &str, environment: &Environment) -> Result<Self> {
        write_head(&directory, spec_text, environment)?;
        let path = directory.join(RUNS);
        let runs = OpenOptions::new().append(true).create_new(true).open(&path);
        let runs = runs.map_err(|e| Error::file("write", &path, e))?;
        Self { directory, runs }.locked()
    }

    /// Continues a folder: removes an incomplete last line and rewrites the environment.
    pub fn reopen(directory: &Path, environment: &Environment) -> Result<Self> {
        let path = directory.join(RUNS);
        let failed = |e: std::io::Error| Error::file("go on with", &path, e);
        let runs = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let results = Self { directory: directory.to_owned(), runs }.locked()?;
        let text = fs::read(&path).map_err(failed)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        results.runs.set_len(whole as u64).map_err(failed)?;
        write_environment(directory, environment)?;
        Ok(results)
    }

    /// Locks the folder against other labs.
    fn locked(self) -> Result<Self> {
        let path = self.directory.join(RUNS);
        match lock::try_lock_byte(&self.runs, 0) {
            Ok(true) => Ok(self),
            Ok(false) => Err(Error::about(&path, "is being written by another lab")),
            Err(e) => Err(Error::file("lock", &path, e)),
        }
    }

    /// The run is on disk when this returns.
    pub fn append(&mut self, run: &RunData) -> Result<()> {
        let mut line =
            serde_json::to_vec(run).map_err(|e| Error::Failed(format!("run {}: {e}", run.order)))?;
        line.push(b'\n');
        let before = self.runs.metadata().map_or(0, |about| about.len());
        self.runs.write_all(&line).and_then(|()| self.runs.sync_data()).map_err(|e| {
            let _ = self.runs.set_len(before);
            let path = self.directory.join(RUNS);
            let kept = "the runs before it are kept; make room, or use --results DIR on another disk";
            Error::Failed(format!("cannot write run {} to {}: {e} ({kept})", run.order, path.display()))
        })
    }
}

fn write_head(directory: &Path, spec_text: &str, environment: &Environment) -> Result<()> {
    write(&directory.join(SPEC), spec_text)?;
    write_environment(directory, environment)
}

/// Replaces the file atomically.
fn write_environment(directory: &Path, environment: &Environment) -> Result<()> {
    let (path, new) = (directory.join(MACHINE), directory.join(format!("{MACHINE}.new")));
    let json =
        serde_json::to_vec_pretty(environment).map_err(|e| Error::Failed(format!("machine facts: {e}")))?;
    fs::write(&new, &json).and_then(|()| fs::rename(&new, &path)).map_err(|e| Error::file("write", &path, e))
}

/// Creates a new folder.
pub fn fresh(parent: &Path, stem: &str) -> Result<PathBuf> {
    for copy in 1..100 {
        let directory = parent.join(if copy == 1 { stem.to_owned() } else { format!("{stem}-{copy}") });
        match fs::create_dir(&directory) {
            Ok(()) => return Ok(directory),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::file("make the results folder", &directory, e)),
        }
    }
    Err(Error::about(parent, format!("has a hundred results named {stem}: use another --label")))
}

pub fn is_results(directory: &Path) -> bool {
    directory.join(SPEC).is_file()
}

/// Whether `directory` is a copy made by `lab keep`: it has no runs but the compressed ones. Fails if it has no results.
pub fn is_kept(directory: &Path) -> Result<bool> {
    load(directory)?;
    Ok(!directory.join(RUNS).exists())
}

pub fn load(directory: &Path) -> Result<Data> {
    if !is_results(directory) {
        let why =
            format!("is not a results folder: it has no {SPEC} (lab run makes results/NAME/TIME-LABEL)");
        return Err(Error::about(directory, why));
    }
    let Some(file) = [RUNS, KEPT_RUNS].into_iter().find(|name| directory.join(name).is_file()) else {
        let lacks = format!("it has neither {RUNS} nor {KEPT_RUNS}, so its report cannot be redrawn");
        return Err(Error::about(directory, format!("was kept without data: {lacks}")));
    };
    let mut spec = Spec::read(&directory.join(SPEC))?;
    let path = directory.join(MACHINE);
    let bytes = fs::read(&path).map_err(|e| Error::file("read", &path, e))?;
    let environment: Environment =
        serde_json::from_slice(&bytes).map_err(|e| Error::file("understand", &path, e))?;
    let schema = environment.schema;
    if !(OLDEST_SCHEMA..=SCHEMA).contains(&schema) {
        let reads = format!("and this lab reads {OLDEST_SCHEMA} to {SCHEMA}: use the lab that made it");
        return Err(Error::about(directory, format!("has schema {schema}, {reads}")));
    }
    spec.one_twin = schema < 3;
    let note = fs::read_to_string(directory.join(NOTE)).ok().map(|note| note.trim().to_owned());
    Ok(Data { spec, environment, runs: load_runs(&directory.join(file))?, file, note })
}

/// Makes `directory` with all that a report is drawn from, the runs compressed.
pub fn write_kept(directory: &Path, spec_text: &str, data: &Data) -> Result<()> {
    fs::create_dir_all(directory.parent().unwrap_or(directory))
        .and_then(|()| fs::create_dir(directory))
        .map_err(|e| Error::file("make the results folder", directory, e))?;
    write_head(directory, spec_text, &data.environment)?;
    if let Some(note) = &data.note {
        write(&directory.join(NOTE), format!("{note}\n"))?;
    }
    let path = directory.join(KEPT_RUNS);
    let failed = |e: std::io::Error| Error::file("write", &path, e);
    let mut file = GzEncoder::new(File::create(&path).map_err(failed)?, Compression::best());
    for run in &data.runs {
        serde_json::to_writer(&mut file, run).map_err(|e| failed(e.into()))?;
        file.write_all(b"\n").map_err(failed)?;
    }
    file.finish().map(drop).map_err(failed)
}

/// What there is one run of: trial runs are told apart by their order.
fn place(run: &RunData) -> (u32, u32, &str, &str) {
    (run.round, if run.round == 0 { run.order } else { 0 }, &run.cell, &run.load)
}

/// A repeated run counts as it was the last time.
fn load_runs(path: &Path) -> Result<Vec<RunData>> {
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let mut reader: Box<dyn BufRead> = if compressed {
        Box::new(BufReader::new(GzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    let (mut runs, mut line, mut number) = (Vec::<RunData>::new(), String::new(), 0);
    while reader.read_line(&mut line).map_err(|e| Error::file("read", path, e))? > 0 {
        number += 1;
        match serde_json::from_str(&line) {
            Ok(run) => {
                let run: RunData = run;
                runs.retain(|earlier| place(earlier) != place(&run));
                runs.push(run);
            }
            Err(_) if !line.ends_with('\n') => break,
            Err(e) => return Err(Error::Failed(format!("{}:{number}: damaged: {e}", path.display()))),
        }
        line.clear();
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_what_is_kept_and_the_way_out() {
        let runs = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut results = Results { directory: "results/x".into(), runs };
        let error = results.append(&RunData { order: 7, ..RunData::default() }).unwrap_err().to_string();
        assert!(error.starts_with("cannot write run 7 to results/x/runs.jsonl: No space left"), "{error}");
        assert!(error.contains("the runs before it are kept; make room"), "{error}");
    }

    #[test]
    fn one_lab_at_a_time_writes_to_a_folder() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("x");
        let environment = Environment::default();
        let mut results = Results::create_at(&directory, "", &environment).unwrap();
        results.append(&RunData { order: 1, round: 1, ..RunData::default() }).unwrap();
        let error = Results::reopen(&directory, &environment).unwrap_err().to_string();
        assert!(error.ends_with("runs.jsonl is being written by another lab"), "{error}");
        drop(results);
        let mut results = Results::reopen(&directory, &environment).unwrap();
        let again = RunData { order: 1, round: 1, started: "again".into(), ..RunData::default() };
        results.append(&again).unwrap();
        assert_eq!(load_runs(&directory.join(RUNS)).unwrap(), [again]);
        let error = Results::create_at(&directory, "", &environment).unwrap_err().to_string();
        assert!(error.starts_with("cannot make the results folder "), "{error}");
    }

    #[test]
    fn results_of_other_schemas_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data = crate::lab::fixture::quick(1);
        let directory = folder.path().join("x");
        write_kept(&directory, &toml::to_string(&data.spec).unwrap(), &data).unwrap();
        assert_eq!(load(&directory).unwrap().runs.len(), data.runs.len());
        for schema in [OLDEST_SCHEMA - 1, SCHEMA + 1] {
            write_environment(&directory, &Environment { schema, ..data.environment.clone() }).unwrap();
            let refused = load(&directory).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("has schema {schema}, and this lab reads 2 to 3")),
                "{refused}"
            );
        }
    }
}
