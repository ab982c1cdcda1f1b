//! `lab compare DIR DIR`: compares two results folders, as Markdown and optionally as a page.

use std::path::PathBuf;

use clap::Args;

use super::error::{Error, Result};
use super::judge::environment_diff::{self, Difference};
use super::judge::folders::{FolderComparison, side_by_side};
use super::report;
use super::results::store;

#[derive(Clone, Debug, Args)]
pub struct Compare {
    /// The results folder to compare with
    #[arg(value_name = "DIR")]
    pub first: PathBuf,
    /// The results folder to compare
    #[arg(value_name = "DIR")]
    pub second: PathBuf,
    /// Compare even results from different machines or with different settings
    #[arg(long)]
    pub force: bool,
    /// Also write a page with figures
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

pub fn compare(wanted: &Compare) -> Result<String> {
    let (first, second) = (store::load(&wanted.first)?, store::load(&wanted.second)?);
    let circumstances = environment_diff::circumstances(&first, &second);
    let unlike: Vec<Difference> =
        circumstances.iter().filter(|d| !d.program || d.what == "profile").cloned().collect();
    if !unlike.is_empty() && !wanted.force {
        return Err(Error::Failed(format!(
            "the two results are not comparable: {} (--force compares them anyway)",
            environment_diff::list(&unlike)
        )));
    }
    let comparison = side_by_side(&first, &second, circumstances);
    if comparison.differences.is_empty() {
        return Err(Error::Failed(format!(
            "{} and {} have no cell and load in common with runs that count",
            wanted.first.display(),
            wanted.second.display()
        )));
    }
    let names = [&wanted.first, &wanted.second].map(|path| path.display().to_string());
    if let Some(path) = &wanted.page {
        report::write_comparison(path, names.clone(), &comparison)?;
    }
    Ok(markdown(&comparison, &names))
}

fn markdown(comparison: &FolderComparison, names: &[String; 2]) -> String {
    let mut text = format!("# {} against {}\n\n", names[1], names[0]);
    for difference in &comparison.circumstances {
        text += &format!("- {difference}\n");
    }
    if !comparison.circumstances.is_empty() {
        text.push('\n');
    }
    text += &comparison.summary().join("\n");
    text += "\n\n";
    text += &report::comparison_table(comparison).markdown();
    for name in &comparison.unmatched {
        text += &format!("\nNot compared: {name}");
    }
    if comparison.unmatched.is_empty() { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;

    #[test]
    fn the_text_names_both_folders_and_counts_what_was_compared() {
        let data = fixture::quick(10);
        let text = markdown(&side_by_side(&data, &data, Vec::new()), &["a".into(), "b".into()]);
        assert!(
            text.contains("No difference was found, of 6 judged.\nEquivalent: 6 of 6;")
                && text.starts_with("# b against a"),
            "{text}"
        );
    }
}
