//! `lab keep`: a small copy of a results folder, to be kept with the source. It has all that the report is drawn from.
//!
//! What only spreadsheets want, and the load generator's interval logs, stay behind; they can be had again by a run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lab::error::{Error, Result};
use crate::lab::report;
use crate::lab::results::store;

/// Name of the copy, beside the folder.
const REFERENCE: &str = "reference";

/// Copies the results in `directory` to `target`, or to the folder `reference` beside it, in the place of an earlier copy,
/// and draws the report there. Gives where that is.
pub fn keep(directory: &Path, target: Option<&Path>) -> Result<PathBuf> {
    let mut data = store::load(directory)?;
    let target = match (target, directory.parent()) {
        (Some(target), _) => target.to_owned(),
        (None, Some(parent)) => parent.join(REFERENCE),
        (None, None) => return Err(Error::Usage("say where to: lab keep DIR TARGET".into())),
    };
    for run in &mut data.runs {
        run.hlog = None;
    }
    let path = directory.join(store::SPEC);
    let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
    if target.exists() {
        // Nothing is removed that is not results.
        store::load(&target)?;
        fs::remove_dir_all(&target).map_err(|e| Error::file("replace", &target, e))?;
    }
    store::write_kept(&target, &text, &data)?;
    Ok(report::redraw(&target)?.0.page)
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
        let first = report::redraw(&results.directory).unwrap().0.page;
        let kept = keep(&results.directory, None).unwrap();
        assert!(kept.ends_with("rich/reference/report.html"), "{kept:?}");
        let folder = kept.parent().unwrap();
        let there = |name: &str| folder.join(name).exists();
        assert!(there("runs.jsonl.gz") && there("runs.csv") && there("plots/ledger.svg"));
        assert!(!there("runs.jsonl") && !there("percentiles.csv") && !there("series.csv"));
        assert_eq!(store::load(folder).unwrap().runs.len(), data.runs.len());
        // all but the list of files at the end is the same
        let page = |path: &Path| {
            fs::read_to_string(path).unwrap().split("Raw data beside").next().unwrap().to_owned()
        };
        assert!(page(&first) == page(&kept));
        // again, and only in the place of results
        keep(&results.directory, None).unwrap();
        keep(folder, Some(&base.path().join("other"))).unwrap();
        let stranger = base.path().join("stranger");
        fs::create_dir(&stranger).unwrap();
        assert!(keep(folder, Some(&stranger)).is_err() && stranger.exists());
    }
}
