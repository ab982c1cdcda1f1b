//! The report: everything that is rebuilt from a results folder, byte for byte the same each time.
//!
//! It runs nothing and reads nothing but the folder.

mod figures;
mod view;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;

use super::error::{Error, Result};
use super::judge::{self, Analysis};
use super::store::{self, Data};

/// Name of the page.
pub const PAGE: &str = "report.html";

/// Writes report.html, report.md, plots/*.svg, runs.csv and workers.csv into `directory`, and gives the report's path
/// and the answer in words.
///
/// # Errors
/// The folder is no results folder, is damaged, or cannot be written.
pub fn write(directory: &Path) -> Result<(PathBuf, Vec<String>)> {
    let data = store::load(directory)?;
    let analysis = judge::judge(&data);
    tables(directory, &data, &analysis)?;
    let figures = figures::draw(&data, &analysis)?;
    let plots = directory.join("plots");
    fs::create_dir_all(&plots).map_err(|e| Error::file("make", &plots, e))?;
    for figure in figures.iter().flatten() {
        save(&directory.join(&figure.file), figure.svg.as_bytes())?;
    }
    let page = view::page(&data, &analysis, figures);
    for (name, template) in [(PAGE, include_str!("page.html")), ("report.md", include_str!("page.md"))] {
        save(&directory.join(name), render(name, template, &page)?.as_bytes())?;
    }
    Ok((directory.join(PAGE), page.answer))
}

fn render(name: &str, template: &str, page: &view::Page) -> Result<String> {
    let failed = |e: minijinja::Error| Error::Failed(format!("cannot fill in {name}: {e:#}"));
    let mut environment = Environment::new();
    environment
        .set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?);
    environment.add_template(name, template).map_err(failed)?;
    environment.get_template(name).and_then(|t| t.render(Serde(page))).map_err(failed)
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| Error::file("write", path, e))
}

fn tables(directory: &Path, data: &Data, analysis: &Analysis) -> Result<()> {
    let path = directory.join("runs.csv");
    let failed = |e: csv::Error| Error::file("write", &path, e);
    let mut writer = csv::Writer::from_path(&path).map_err(failed)?;
    for row in &analysis.rows {
        writer.serialize(row).map_err(failed)?;
    }
    writer.flush().map_err(|e| Error::file("write", &path, e))?;
    let path = directory.join("workers.csv");
    let failed = |e: csv::Error| Error::file("write", &path, e);
    let mut writer = csv::Writer::from_path(&path).map_err(failed)?;
    writer.write_record(WORKER_COLUMNS).map_err(failed)?;
    for run in &data.runs {
        for w in &run.workers {
            let run_part = (run.order, run.round, &run.cell, &run.load);
            let counts =
                (w.worker, w.accepted, w.wakeups, w.empty_wakeups, w.launched, w.launch_failures, w.busy_ns);
            writer.serialize((run_part, counts)).map_err(failed)?;
        }
    }
    writer.flush().map_err(|e| Error::file("write", &path, e))
}

const WORKER_COLUMNS: [&str; 11] = [
    "order",
    "round",
    "cell",
    "load",
    "worker",
    "accepted",
    "wakeups",
    "empty_wakeups",
    "launched",
    "launch_failures",
    "busy_ns",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;
    use crate::lab::store::Results;

    fn folder(data: &Data) -> (tempfile::TempDir, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let text = toml::to_string(&data.spec).unwrap();
        let mut results = Results::create(base.path(), &text, &data.environment).unwrap();
        data.runs.iter().for_each(|run| results.append(run).unwrap());
        let directory = results.directory;
        (base, directory)
    }

    fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                files.extend(self::files(&entry));
            } else {
                files.push((entry.clone(), fs::read(&entry).unwrap()));
            }
        }
        files.sort();
        files
    }

    #[test]
    fn a_report_is_drawn_again_byte_for_byte_from_the_data_alone() {
        let (_base, directory) = folder(&fixture::quick(3));
        write(&directory).unwrap();
        let first = files(&directory);
        for name in ["report.html", "report.md", "runs.csv", "workers.csv"] {
            fs::remove_file(directory.join(name)).unwrap();
        }
        fs::remove_dir_all(directory.join("plots")).unwrap();
        write(&directory).unwrap();
        assert!(first == files(&directory));
        assert_eq!(first.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "svg")).count(), 4);
    }

    #[test]
    fn the_page_stands_alone_and_escapes_what_programs_wrote() {
        let mut data = fixture::quick(3);
        let victim = data.runs.last_mut().unwrap();
        fixture::void(victim);
        victim.void.as_mut().unwrap().reason = "died of <script>".into();
        let (_base, directory) = folder(&data);
        let (page, _) = write(&directory).unwrap();
        let html = fs::read_to_string(page).unwrap();
        for outside in ["<script", "<link", "src=", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("died of &lt;script&gt;") && html.contains("INVALID"));
        assert!(html.contains("prefers-color-scheme: dark") && html.contains("currentColor"));
    }

    #[test]
    fn the_answer_says_who_got_the_connections_and_that_rounds_are_few() {
        let (_base, directory) = folder(&fixture::quick(4));
        let (_, answer) = write(&directory).unwrap();
        insta::assert_snapshot!(answer.join("\n"));
    }

    #[test]
    fn the_answer_names_the_differences_when_rounds_suffice() {
        let (_base, directory) = folder(&fixture::quick(12));
        let (_, answer) = write(&directory).unwrap();
        insta::assert_snapshot!(answer.join("\n"));
    }

    #[test]
    fn a_run_that_was_cut_off_while_being_written_is_left_out() {
        let (_base, directory) = folder(&fixture::quick(2));
        let path = directory.join("runs.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 50]).unwrap();
        assert_eq!(store::load(&directory).unwrap().runs.len(), fixture::quick(2).runs.len() - 1);
        write(&directory).unwrap();
    }

    #[test]
    fn results_are_never_overwritten() {
        let data = fixture::quick(1);
        let base = tempfile::tempdir().unwrap();
        let make = || Results::create(base.path(), "x", &data.environment).unwrap().directory;
        let (first, second) = (make(), make());
        assert_ne!(first, second);
        assert!(second.ends_with("quick/20261123T010000Z-bench1-2"), "{second:?}");
    }

    #[test]
    fn a_folder_without_results_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let error = write(base.path()).unwrap_err().to_string();
        assert!(error.contains("is no results folder"), "{error}");
    }
}
