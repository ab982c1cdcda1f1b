//! `lab keep`: a copy of a results folder for the repository, from which `lab report` draws all the rest.
//!
//! `.gitignore` leaves out what the report repeats (HTML, CSV, summary, figures of the HTML page alone). The copy lacks the
//! interval logs and the service times of each interval, which no report shows.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lab::error::{Error, Result, read, write};
use crate::lab::report;
use crate::lab::results::data::RunData;
use crate::lab::results::store;
use crate::lab::run::suite;
use crate::measure::record::Summary;

/// Copies the results in `directory` to `target`, by default to the folder `reference` beside it. Replaces an earlier
/// copy, draws the report there and returns its path.
pub fn keep(directory: &Path, target: Option<&Path>) -> Result<PathBuf> {
    // In full: `.` has a folder beside it, too.
    let directory = directory.canonicalize().map_err(|e| Error::file("read", directory, e))?;
    let target = match (target, directory.parent()) {
        (Some(target), _) => target.to_owned(),
        (None, Some(parent)) => parent.join(report::KEPT),
        (None, None) => return Err(Error::Usage("name the copy: lab keep DIR TARGET".into())),
    };
    let is_suite = suite::is_suite(&directory);
    let is_copy: fn(&Path) -> Result<bool> = if is_suite { is_kept_suite } else { store::is_kept };
    if target.exists() && !is_copy(&target)? {
        let why = "is not a copy made by lab keep, so it is not replaced: name another folder";
        return Err(Error::about(&target, why));
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| Error::file("make the results folder", parent, e))?;
    let aside = store::fresh(parent, &format!(".keep-{}", std::process::id()))?;
    let copy: fn(&Path, &Path) -> Result<()> = if is_suite { copy_suite } else { copy };
    let done = copy(&directory, &aside.join("new")).and_then(|()| put(&aside, &target));
    let _ = fs::remove_dir_all(&aside);
    done?;
    if is_suite { suite::redraw(&target) } else { Ok(report::redraw(&target)?.0.page) }
}

/// Renames `aside/new` to `target`; what was there goes to `aside/old`.
fn put(aside: &Path, target: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::file("replace", target, e);
    if target.exists() {
        fs::rename(target, aside.join("old")).map_err(failed)?;
    }
    fs::rename(aside.join("new"), target).map_err(failed)
}

fn is_kept_suite(directory: &Path) -> Result<bool> {
    let members = suite::begun(directory)?;
    Ok(members.iter().all(|name| store::is_kept(&directory.join(name)).unwrap_or(false)))
}

fn copy_suite(directory: &Path, target: &Path) -> Result<()> {
    fs::create_dir(target).map_err(|e| Error::file("make the results folder", target, e))?;
    for name in suite::begun(directory)? {
        copy(&directory.join(&name), &target.join(&name))?;
    }
    write(&target.join(suite::SUITE), read(&directory.join(suite::SUITE))?)
}

fn copy(directory: &Path, target: &Path) -> Result<()> {
    let mut data = store::load(directory)?;
    data.runs.iter_mut().for_each(thin);
    store::write_kept(target, &read(&directory.join(store::SPEC))?, &data)
}

/// Takes from a run what no report shows.
fn thin(run: &mut RunData) {
    run.hlog = None;
    for interval in run.record.iter_mut().flat_map(|record| &mut record.intervals) {
        interval.service = Summary::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;
    use crate::lab::results::store::Results;

    #[test]
    fn a_copy_is_small_and_draws_the_same_report() {
        let base = tempfile::tempdir().unwrap();
        let data = fixture::rich::Rich { rounds: 1, ..Default::default() }.data();
        let text = toml::to_string(&data.spec).unwrap();
        let mut results = Results::create(base.path(), &text, &data.environment).unwrap();
        data.runs.iter().for_each(|run| results.append(run).unwrap());
        fs::write(results.directory.join("note.txt"), "Method <superseded>.\n").unwrap();
        report::redraw(&results.directory).unwrap();
        let kept = keep(&results.directory, None).unwrap();
        assert!(kept.ends_with("rich/reference/report.html"), "{kept:?}");
        let folder = kept.parent().unwrap();
        let there = |name: &str| folder.join(name).exists();
        assert!(there("runs.jsonl.gz") && there("runs.csv") && there("plots/load.svg"));
        assert!(there("plots/more") && !there("runs.jsonl"));
        assert_eq!(store::load(folder).unwrap().runs.len(), data.runs.len());
        // What git keeps of the report is the same, and the same again after a redraw and when kept once more.
        let shown =
            |folder: &Path| ["report.md", "plots/load.svg"].map(|name| read(&folder.join(name)).unwrap());
        let first = shown(&results.directory);
        assert!(first[0].contains("**Method <superseded>.**") && first == shown(folder));
        report::redraw(folder).unwrap();
        let runs = fs::read(folder.join("runs.jsonl.gz")).unwrap();
        keep(folder, Some(folder)).unwrap();
        assert!(first == shown(folder) && runs == fs::read(folder.join("runs.jsonl.gz")).unwrap());
        assert!(read(&kept).unwrap().contains("Method &lt;superseded&gt;."));
        // Only results are replaced.
        keep(&results.directory, None).unwrap();
        keep(folder, Some(&base.path().join("other"))).unwrap();
        let stranger = base.path().join("stranger");
        fs::create_dir(&stranger).unwrap();
        assert!(keep(folder, Some(&stranger)).is_err() && stranger.exists());
        assert!(
            fs::read_dir(base.path())
                .unwrap()
                .flatten()
                .all(|entry| { !entry.file_name().to_string_lossy().starts_with(".keep-") })
        );
    }

    #[test]
    fn raw_runs_are_never_replaced() {
        let base = tempfile::tempdir().unwrap();
        let data = fixture::quick(1);
        let text = toml::to_string(&data.spec).unwrap();
        let made = || {
            let mut results = Results::create(base.path(), &text, &data.environment).unwrap();
            data.runs.iter().for_each(|run| results.append(run).unwrap());
            results.directory
        };
        let (one, other) = (made(), made());
        for target in [&other, &one] {
            let error = keep(&one, Some(target)).unwrap_err().to_string();
            assert!(error.contains("is not a copy made by lab keep"), "{error}");
            assert!(target.join("runs.jsonl").is_file());
        }
    }

    #[test]
    fn a_suite_is_kept_with_its_members() {
        let base = tempfile::tempdir().unwrap();
        let from = base.path().join("both/now");
        fs::create_dir_all(&from).unwrap();
        let data = fixture::quick(1);
        fs::write(from.join(suite::SUITE), "question = \"Which?\"\nsuite = [\"quick\", \"tail\"]\n").unwrap();
        let text = toml::to_string(&data.spec).unwrap();
        let mut results = Results::create_at(&from.join("quick"), &text, &data.environment).unwrap();
        data.runs.iter().for_each(|run| results.append(run).unwrap());
        for _ in 0..2 {
            let page = keep(&from, None).unwrap();
            assert!(page.ends_with("both/reference/report.html"), "{page:?}");
            let folder = page.parent().unwrap();
            assert!(folder.join("quick/runs.jsonl.gz").exists() && !folder.join("tail").exists());
            assert!(read(&folder.join("report.md")).unwrap().contains("tail: not started"));
        }
    }
}
