//! The index page of a results folder: which strategy to take, and all reports by experiment, the newest first. It reads the
//! summaries of the reports.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::overview::matrix::{Overview, overview};
use super::overview::{Run, readme};
use super::summary::Summary;
use super::view::moment;
use super::{KEPT, PAGE, save, templates};
use crate::lab::error::{Error, Result};
use crate::lab::results::store;

const INDEX: &str = "index.html";
/// In the folder of a suite.
const SUITE: &str = "suite.toml";

#[derive(Debug, Serialize)]
struct Index {
    overview: Overview,
    experiments: Vec<Experiment>,
    /// Results whose report has to be drawn again.
    undrawn: Vec<String>,
    drawn: String,
}

#[derive(Debug, Serialize)]
struct Experiment {
    name: String,
    question: String,
    reports: Vec<Report>,
}

#[derive(Debug, Serialize)]
struct Report {
    link: String,
    title: String,
    says: String,
    counts: String,
    tags: Vec<&'static str>,
    /// Of a suite, with links to their reports.
    members: Vec<(String, String)>,
}

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
    let index = Index { overview: overview(&runs, now), experiments, undrawn, drawn: moment(now) };
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
        let name = file_name(&experiment);
        for directory in folders(&experiment)? {
            let place = format!("{name}/{}", file_name(&directory));
            found.reports.extend(read(&directory, &name, &place, &mut found.undrawn));
            if !directory.join(SUITE).is_file() {
                continue;
            }
            for member in folders(&directory)? {
                let name = file_name(&member);
                let place = format!("{place}/{name}");
                found.members.extend(read(&member, &name, &place, &mut found.undrawn));
            }
        }
    }
    Ok(found)
}

fn read(directory: &Path, experiment: &str, place: &str, undrawn: &mut Vec<String>) -> Option<Run> {
    let summary = Summary::read(directory);
    let results = store::is_results(directory) || directory.join(SUITE).is_file();
    if results && !summary.as_ref().is_some_and(Summary::is_current) {
        undrawn.push(place.to_owned());
    }
    let (experiment, place) = (experiment.to_owned(), place.to_owned());
    Some(Run { experiment, kept: is_kept(&place), place, summary: summary? })
}

/// Whether results are kept in the repository, also those of a member of a suite.
fn is_kept(place: &str) -> bool {
    place.split('/').nth(1) == Some(KEPT)
}

/// By experiment, the newest first.
fn experiments(runs: &[Run]) -> Vec<Experiment> {
    let mut experiments: Vec<Experiment> = Vec::new();
    for group in runs.chunk_by(|one, next| one.experiment == next.experiment) {
        let mut group: Vec<&Run> = group.iter().collect();
        group.sort_by(|a, b| (&b.summary.started, &a.place).cmp(&(&a.summary.started, &b.place)));
        experiments.push(Experiment {
            name: group[0].experiment.clone(),
            question: group[0].summary.question.clone(),
            reports: group.into_iter().map(report).collect(),
        });
    }
    experiments
}

fn report(run: &Run) -> Report {
    let summary = &run.summary;
    let counts: Vec<String> = summary.verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let member = |name: &String| (name.clone(), link(&format!("{}/{name}/{PAGE}", run.place)));
    Report {
        link: link(&format!("{}/{PAGE}", run.place)),
        title: format!("{}, {}", moment(&summary.started), summary.label),
        says: summary.headline().to_owned(),
        counts: counts.join(", "),
        tags: run.tags(),
        members: summary.members.iter().map(member).collect(),
    }
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
