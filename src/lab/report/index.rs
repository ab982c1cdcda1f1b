//! The index page of a results folder: which strategy to take, and all reports by experiment, the newest first; and the part of
//! results/README.md that has the same of the kept reports. It reads the summaries of the reports.

use std::fs;
use std::path::{Path, PathBuf};

use itertools::Itertools;
use serde_json::{Value, json};

use super::overview::Run;
use super::overview::matrix::overview;
use super::summary::Summary;
use super::view::moment;
use super::{KEPT, save, templates};
use crate::lab::error::{Error, Result};
use crate::lab::results::store;

const INDEX: &str = "index.html";
/// In the folder of a suite.
const SUITE: &str = "suite.toml";
/// The drawn part of the page is between these lines.
const BEGIN: &str = "<!-- drawn by `lab report --all` -->\n";
const END: &str = "<!-- end of the drawn part -->\n";
const README: &str = "README.md";

/// What a folder of results has.
#[derive(Debug, Default)]
struct Found {
    /// Reports, without the members of suites.
    reports: Vec<Run>,
    members: Vec<Run>,
    /// Results without a summary, or with an old one.
    undrawn: Vec<String>,
}

/// Rewrites `results/index.html`, and the drawn part of `results/README.md`; returns the path of the page.
pub fn write(results: &Path) -> Result<PathBuf> {
    write_at(results, &jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string())
}

fn write_at(results: &Path, now: &str) -> Result<PathBuf> {
    let Found { reports, members, undrawn } = find(results)?;
    let experiments = experiments(&reports);
    let runs: Vec<Run> = reports.into_iter().chain(members).collect();
    let complete = !undrawn.iter().any(|place| is_kept(place));
    update_readme(results, &runs, complete)?;
    let overview = overview(&runs, now)?;
    let index = json!({
        "overview": overview, "experiments": experiments, "undrawn": undrawn, "drawn": moment(now),
    });
    let path = results.join(INDEX);
    save(&path, templates::render(INDEX, include_str!("index.html"), &index)?.as_bytes())?;
    Ok(path)
}

/// Draws the part again, if the page has one: the matrix, what was not measured, and the list of reports. `complete`: all kept
/// results have a summary of this format, without which the page stays as it is.
fn update_readme(results: &Path, runs: &[Run], complete: bool) -> Result<()> {
    let path = results.join(README);
    let Some(text) = fs::read_to_string(&path).ok().filter(|_| complete) else { return Ok(()) };
    let Some((before, rest)) = text.split_once(BEGIN) else { return Ok(()) };
    let (_, after) = rest.split_once(END).ok_or_else(|| {
        Error::Failed(format!("{}: the line `{}` is missing", path.display(), END.trim_end()))
    })?;
    let kept: Vec<Run> = runs.iter().filter(|run| run.kept).cloned().collect();
    let new = format!("{before}{BEGIN}\n{}\n\n{END}{after}", part(&kept)?.trim());
    if new == text { Ok(()) } else { save(&path, new.as_bytes()) }
}

fn part(kept: &[Run]) -> Result<String> {
    let reports: Vec<Value> = kept.iter().map(report).collect();
    let part = json!({ "overview": overview(kept, "")?, "reports": reports });
    templates::render("readme.md", include_str!("overview/readme.md"), &part)
}

/// Updates the index after a report was written to `directory`, if that is `results/NAME/TIME-LABEL`.
pub fn after(directory: &Path, experiment: &str) -> Result<()> {
    let whole = directory.canonicalize().map_err(|e| Error::file("read", directory, e))?;
    let parent = whole.parent().filter(|parent| file_name(parent) == experiment);
    parent.and_then(Path::parent).map_or(Ok(()), |results| write(results).map(drop))
}

fn find(results: &Path) -> Result<Found> {
    let Found { mut reports, mut members, mut undrawn } = Found::default();
    for experiment in folders(results)? {
        for directory in folders(&experiment)? {
            reports.extend(read(results, &directory, &experiment, &mut undrawn));
            let all = if directory.join(SUITE).is_file() { folders(&directory)? } else { Vec::new() };
            members.extend(all.iter().filter_map(|member| read(results, member, member, &mut undrawn)));
        }
    }
    Ok(Found { reports, members, undrawn })
}

/// `experiment`: a folder that has its name.
fn read(results: &Path, directory: &Path, experiment: &Path, undrawn: &mut Vec<String>) -> Option<Run> {
    let place = directory.strip_prefix(results).unwrap_or(directory).to_string_lossy().into_owned();
    let summary = Summary::read(directory);
    let is_results = store::is_results(directory) || directory.join(SUITE).is_file();
    if is_results && !summary.as_ref().is_some_and(Summary::is_current) {
        undrawn.push(place.clone());
    }
    Some(Run { experiment: file_name(experiment), kept: is_kept(&place), place, summary: summary? })
}

/// Whether results are kept in the repository, also those of a member of a suite.
fn is_kept(place: &str) -> bool {
    place.split('/').nth(1) == Some(KEPT)
}

/// By experiment, the newest first.
fn experiments(runs: &[Run]) -> Vec<Value> {
    let experiment = |group: &[Run]| {
        let mut group: Vec<&Run> = group.iter().collect();
        group.sort_by(|a, b| (&b.summary.started, &a.place).cmp(&(&a.summary.started, &b.place)));
        let reports: Vec<Value> = group.iter().copied().map(report).collect();
        json!({ "name": group[0].experiment, "question": group[0].summary.question, "reports": reports })
    };
    runs.chunk_by(|one, next| one.experiment == next.experiment).map(experiment).collect()
}

/// For the lists of reports. `place` is a link to the folder.
fn report(run: &Run) -> Value {
    let (summary, basis, place) = (&run.summary, run.basis(), link(&run.place));
    let member = |name: &String| [name.clone(), format!("{place}/{}", link(name))];
    json!({
        "name": run.experiment,
        "place": place,
        "title": format!("{}, {}", moment(&summary.started), summary.label),
        "says": summary.card.advice,
        "counts": summary.counts(),
        "tags": run.tags(),
        // Of a suite, with links to their folders.
        "members": summary.members.iter().map(member).collect::<Vec<_>>(),
        "basis": basis,
    })
}

/// A path as a link, percent-encoded.
pub fn link(path: &str) -> String {
    let encode = |byte: u8| match char::from(byte) {
        plain if plain.is_ascii_alphanumeric() || "/._-~".contains(plain) => plain.to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}

/// The folders in a folder, by name.
pub fn folders(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|e| Error::file("read", directory, e))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).sorted().collect())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
