//! Published claims, the experiments that test them, and what was found, as a table.

use super::index::link;
use super::text::list;
use super::view::{Table, claims};
use crate::lab::judge::claims::Claim;
use crate::lab::terminal::minutes;

/// An expectation of an experiment.
#[derive(Debug)]
pub struct ClaimEntry {
    pub experiment: String,
    /// That the whole experiment takes.
    pub seconds: f64,
    pub needs: Vec<String>,
    pub claim: Claim,
    /// The same expectation in kept results.
    pub kept: Option<Claim>,
    /// Of the kept results.
    pub machine: String,
}

/// A row per expectation. The links lead from the folder of the experiments.
pub fn table(entries: &[ClaimEntry]) -> Table {
    let row = |entry: &ClaimEntry| {
        let expect = &entry.claim.expect;
        let own = if expect.own { " (own addition)" } else { "" };
        let kept = entry.kept.as_ref().map_or_else(
            || "not kept".into(),
            |kept| {
                let report = link(&format!("../results/{}/reference/report.md", entry.experiment));
                let other = if kept.expect.asks_as(expect) { "" } else { ", of an earlier form of the file" };
                format!(
                    "[{}]({report}): {}; {}{other}",
                    kept.verdict.name(),
                    claims::measured(kept),
                    entry.machine
                )
            },
        );
        let needs = if entry.needs.is_empty() { "-".into() } else { list(&entry.needs) };
        let why = expect.not_testable.as_ref().map(|why| format!("; not testable here: {why}"));
        vec![
            format!("{}{own}", expect.claim),
            expect.text.clone(),
            format!("[{0}]({0}.toml)", entry.experiment),
            minutes(entry.seconds),
            needs,
            format!("{}; {}", expect.source, expect.published),
            format!("{}{}", claims::asked(&entry.claim), why.unwrap_or_default()),
            kept,
        ]
    };
    Table::new(
        "Claim|Says|Experiment|Time|Needs|Source; published|Expected|Kept result",
        entries.iter().map(row),
    )
}
