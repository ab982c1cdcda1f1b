//! The results folder: made once, never overwritten, written run by run, read back whole.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::data::{Environment, RunData};
use super::error::{Error, Result};
use super::spec::Spec;

/// The experiment as it was run.
const SPEC: &str = "spec.toml";
/// [`Environment`].
const MACHINE: &str = "machine.json";
/// One [`RunData`] per line.
const RUNS: &str = "runs.jsonl";

/// Everything that a results folder says.
#[derive(Clone, Debug)]
pub struct Data {
    /// The experiment.
    pub spec: Spec,
    /// The machine.
    pub environment: Environment,
    /// The runs in the order in which they were made.
    pub runs: Vec<RunData>,
}

/// A results folder that is being written.
#[derive(Debug)]
pub struct Results {
    /// The folder.
    pub directory: PathBuf,
    runs: File,
}

impl Results {
    /// Makes `base/experiment/time-label`, with what is known before the first run. A folder that is there already
    /// is left alone, and a number added.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(base: &Path, spec_text: &str, environment: &Environment) -> Result<Self> {
        let parent = base.join(&environment.experiment);
        fs::create_dir_all(&parent).map_err(|e| Error::file("make the results folder", &parent, e))?;
        let stem = format!("{}-{}", environment.started, environment.label);
        let directory = fresh(&parent, &stem)?;
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, bytes).map_err(|e| Error::file("write", &path, e))
        };
        write(SPEC, spec_text.as_bytes())?;
        let json = serde_json::to_vec_pretty(environment)
            .map_err(|e| Error::Failed(format!("machine facts: {e}")))?;
        write(MACHINE, &json)?;
        let path = directory.join(RUNS);
        let runs = OpenOptions::new().append(true).create_new(true).open(&path);
        Ok(Self { runs: runs.map_err(|e| Error::file("write", &path, e))?, directory })
    }

    /// Adds a run. It is on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written, as on a full disk. The runs before are whole then: no part of this one is left.
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

/// Makes a folder that was not there.
fn fresh(parent: &Path, stem: &str) -> Result<PathBuf> {
    for copy in 1..100 {
        let directory = parent.join(if copy == 1 { stem.to_owned() } else { format!("{stem}-{copy}") });
        match fs::create_dir(&directory) {
            Ok(()) => return Ok(directory),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::file("make the results folder", &directory, e)),
        }
    }
    Err(Error::Failed(format!(
        "{} has a hundred results named {stem}: use another --label",
        parent.display()
    )))
}

/// Reads a results folder.
///
/// # Errors
/// It is none, or a file in it is damaged. A last line that was cut off by an interruption is left out.
pub fn load(directory: &Path) -> Result<Data> {
    if !directory.join(SPEC).is_file() {
        return Err(Error::Failed(format!(
            "{} is no results folder: it has no {SPEC} (lab run makes results/NAME/TIME-LABEL)",
            directory.display()
        )));
    }
    let spec = Spec::read(&directory.join(SPEC))?;
    let path = directory.join(MACHINE);
    let bytes = fs::read(&path).map_err(|e| Error::file("read", &path, e))?;
    let environment = serde_json::from_slice(&bytes).map_err(|e| Error::file("understand", &path, e))?;
    Ok(Data { spec, environment, runs: load_runs(&directory.join(RUNS))? })
}

fn load_runs(path: &Path) -> Result<Vec<RunData>> {
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let mut reader = BufReader::new(file);
    let (mut runs, mut line, mut number) = (Vec::new(), String::new(), 0);
    while reader.read_line(&mut line).map_err(|e| Error::file("read", path, e))? > 0 {
        number += 1;
        match serde_json::from_str(&line) {
            Ok(run) => runs.push(run),
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
}
