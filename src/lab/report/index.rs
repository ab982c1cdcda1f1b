//! The index page of a results folder: which strategy to take, and all reports by experiment, the newest first. It reads the
//! summaries of the reports.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::overview::matrix::overview;
use super::overview::{Run, readme};
use super::summary::Summary;
use super::view::moment;
use super::{KEPT, PAGE, save, templates};
use crate::lab::error::{Error, Result};
use crate::lab::results::store;

const INDEX: &str = "index.html";
/// In the folder of a suite.
const SUITE: &str = "suite.toml";

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
    readme::update(results, &runs, complete)?;
    let (overview, drawn) = (overview(&runs, now), moment(now));
    let index =
        json!({ "overview": overview, "experiments": experiments, "undrawn": undrawn, "drawn": drawn });
    let path = results.join(INDEX);
    let page = templates::render(INDEX, include_str!("index.html"), &index)?;
    save(&path, page.as_bytes())?;
    Ok(path)
}

/// Updates the index after a report was written to `directory`, if that is `results/NAME/TIME-LABEL`.
pub fn after(directory: &Path, experiment: &str) -> Result<()> {
    let whole = directory.canonicalize().map_err(|e| Error::file("read", directory, e))?;
    match whole.parent() {
        Some(parent) if file_name(parent) == experiment => {
            parent.parent().map_or(Ok(()), |results| write(results).map(drop))
        }
        _ => Ok(()),
    }
}

fn find(results: &Path) -> Result<Found> {
    let mut found = Found::default();
    for experiment in folders(results)? {
        for directory in folders(&experiment)? {
            found.reports.extend(read(results, &directory, &experiment, &mut found.undrawn));
            let members = if directory.join(SUITE).is_file() { folders(&directory)? } else { Vec::new() };
            for member in members {
                found.members.extend(read(results, &member, &member, &mut found.undrawn));
            }
        }
    }
    Ok(found)
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

fn report(run: &Run) -> Value {
    let summary = &run.summary;
    let member = |name: &String| [name.clone(), link(&format!("{}/{name}/{PAGE}", run.place))];
    json!({
        "link": link(&format!("{}/{PAGE}", run.place)),
        "title": format!("{}, {}", moment(&summary.started), summary.label),
        "says": summary.card.advice,
        "counts": summary.counts(),
        "tags": run.tags(),
        // Of a suite, with links to their reports.
        "members": summary.members.iter().map(member).collect::<Vec<_>>(),
    })
}

/// A path as a link, percent-encoded.
pub fn link(path: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    path.bytes().map(encode).collect()
}

/// The folders in a folder, by name.
pub fn folders(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|e| Error::file("read", directory, e))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
