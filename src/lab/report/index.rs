//! The index page of a results folder: all reports by experiment, the newest first. It reads the summaries of
//! the reports.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::summary::Summary;
use super::view::moment;
use super::{PAGE, save, templates};
use crate::lab::error::{Error, Result};

const INDEX: &str = "index.html";

#[derive(Debug, Serialize)]
struct Index {
    experiments: Vec<Experiment>,
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
    answer: Vec<String>,
    counts: String,
    /// Of a suite, with links to their reports.
    members: Vec<(String, String)>,
}

/// Rewrites `results/index.html`; returns its path.
pub fn write(results: &Path) -> Result<PathBuf> {
    let mut experiments = Vec::new();
    for folder in folders(results)? {
        let name = file_name(&folder);
        let mut found: Vec<(String, Summary)> = folders(&folder)?
            .iter()
            .filter_map(|directory| Some((file_name(directory), Summary::read(directory)?)))
            .collect();
        found.sort_by(|(a, one), (b, other)| (&other.started, b).cmp(&(&one.started, a)));
        let Some((_, newest)) = found.first() else { continue };
        let question = newest.question.clone();
        let reports = found.into_iter().map(|(folder, summary)| report(&name, &folder, summary)).collect();
        experiments.push(Experiment { name, question, reports });
    }
    let path = results.join(INDEX);
    let page = templates::render(INDEX, include_str!("index.html"), &Index { experiments })?;
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

fn report(experiment: &str, folder: &str, summary: Summary) -> Report {
    let place = format!("{experiment}/{folder}");
    let counts: Vec<String> = summary.verdicts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let member = |name: String| {
        let link = link(&format!("{place}/{name}/{PAGE}"));
        (name, link)
    };
    Report {
        link: link(&format!("{place}/{PAGE}")),
        title: format!("{}, {}", moment(&summary.started), summary.label),
        answer: summary.answer,
        counts: counts.join(", "),
        members: summary.members.into_iter().map(member).collect(),
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
mod tests {
    use super::*;

    fn leave(results: &Path, folder: &str, started: &str, answer: &str) {
        let directory = results.join(folder);
        fs::create_dir_all(&directory).unwrap();
        let summary = Summary {
            question: "Which one?".into(),
            started: started.into(),
            label: "a<b".into(),
            answer: vec![answer.into()],
            verdicts: [("OK".into(), 30), ("NOISY".into(), 2)].into(),
            members: Vec::new(),
        };
        summary.write(&directory).unwrap();
    }

    #[test]
    fn all_reports_are_listed_the_newest_first_and_what_is_no_report_is_not() {
        let base = tempfile::tempdir().unwrap();
        leave(base.path(), "quick/1-host", "20261123T010000Z", "The older answer.");
        leave(base.path(), "quick/reference", "20261124T010000Z", "The newer answer.");
        leave(base.path(), "tail/1-host", "20261122T010000Z", "Another answer.");
        fs::create_dir_all(base.path().join("notes/of-mine")).unwrap();
        let html = fs::read_to_string(write(base.path()).unwrap()).unwrap();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text} in {html}"));
        assert!(at("The newer answer.") < at("The older answer.") && at("The older answer.") < at("Another"));
        assert!(html.contains("href=\"quick/reference/report.html\"") && html.contains("a&lt;b"));
        assert!(html.contains("2 NOISY, 30 OK") && !html.contains("notes"), "{html}");
    }

    #[test]
    fn links_lead_to_folders_of_any_name() {
        assert_eq!(link("a b/c#1/é.html"), "a%20b/c%231/%C3%A9.html");
    }

    #[test]
    fn only_a_folder_of_results_gets_an_index() {
        let base = tempfile::tempdir().unwrap();
        leave(base.path(), "quick/reference", "20261124T010000Z", "The answer.");
        after(&base.path().join("quick/reference"), "tail").unwrap();
        assert!(!base.path().join(INDEX).exists());
        after(&base.path().join("quick/reference"), "quick").unwrap();
        assert!(base.path().join(INDEX).exists());
    }
}
