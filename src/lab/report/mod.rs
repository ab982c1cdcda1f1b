//! The report: everything that is rebuilt from a results folder, byte for byte the same each time.
//!
//! It runs nothing and reads nothing but the folder.
//!
//! ```text
//! card        what to do, at the head          figures   what the plots are given
//! view        texts and tables of the page     tables    CSV files
//! names       loads, work and faults in words: words.toml
//! templates   from these to HTML and Markdown
//! summary     a report in short                index     the overview and the list of all reports, as a page and in README
//! overview    which strategy to take, from all summaries
//! suite       one table of claims over several experiments
//! folders     two results folders side by side
//! verification  conclusions beside what was found again
//! ```

pub mod card;
mod claim_list;
mod figures;
mod folders;
mod index;
mod names;
mod overview;
pub mod suite;
mod summary;
mod tables;
mod templates;
mod text;
mod verification;
mod view;

use std::fs;
use std::path::{Path, PathBuf};

use self::card::Card;
pub use self::claim_list::markdown as claim_list;
pub use self::folders::{table as comparison_table, write as write_comparison};
pub use self::index::{folders as subfolders, write as index};
use self::summary::Summary;
pub use self::verification::{figure, table as verification_table};
use crate::lab::error::{Error, Result};
use crate::lab::judge::{self, Analysis};
use crate::lab::results::store::{self, Data};

pub use self::tables::DICTIONARY as COLUMNS;

pub const PAGE: &str = "report.html";
/// The name of a results folder that is kept in the repository.
pub const KEPT: &str = "reference";
/// Folders of the figures: of all, and of those that only the HTML page shows.
const PLOTS: [&str; 2] = ["plots", "plots/more"];

#[derive(Debug)]
pub struct Report {
    pub page: PathBuf,
    pub card: Card,
}

/// Loads and judges the results in `directory` and writes their report; returns the analysis, too.
pub fn redraw(directory: &Path) -> Result<(Report, Analysis)> {
    let data = store::load(directory)?;
    let analysis = judge::judge(&data);
    Ok((write(directory, &data, &analysis)?, analysis))
}

/// Writes report.html, report.md, plots/*.svg, the CSV files and summary.json into `directory`, and updates
/// the index.
pub fn write(directory: &Path, data: &Data, analysis: &Analysis) -> Result<Report> {
    tables::write(directory, data, analysis)?;
    let figures = figures::draw(data, analysis);
    plots(directory, &figures)?;
    let card = Card::of(data, analysis);
    let page = view::page(data, analysis, &figures, &card)?;
    for (name, template) in [(PAGE, include_str!("page.html")), ("report.md", include_str!("page.md"))] {
        save(&directory.join(name), templates::render(name, template, &page)?.as_bytes())?;
    }
    Summary::of(data, analysis, card.clone()).write(directory)?;
    index::after(directory, &data.environment.experiment)?;
    Ok(Report { page: directory.join(PAGE), card })
}

/// Writes the figures, and removes old ones.
fn plots(directory: &Path, figures: &figures::Figures) -> Result<()> {
    for plots in PLOTS.map(|name| directory.join(name)) {
        fs::create_dir_all(&plots).map_err(|e| Error::file("make", &plots, e))?;
        let there = fs::read_dir(&plots).map_err(|e| Error::file("read", &plots, e))?;
        let is_figure = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "svg");
        for path in there.flatten().map(|entry| entry.path()).filter(is_figure) {
            fs::remove_file(&path).map_err(|e| Error::file("remove", &path, e))?;
        }
    }
    figures.all().try_for_each(|figure| save(&directory.join(&figure.file), figure.svg.as_bytes()))
}

/// Values by key, the keys in the order in which they first come.
fn grouped<K: PartialEq, V>(all: impl IntoIterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in all {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| Error::file("write", path, e))
}

#[cfg(test)]
mod losses_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;
