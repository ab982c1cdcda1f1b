//! The content of the templates: formatted texts and tables.

pub mod claims;
pub mod glance;
pub mod losses;
mod method;
mod tables;

use std::iter::once;

use itertools::Itertools;
use serde::Serialize;
use serde_json::{Value, json};

use super::card::Card;
use super::figures::{Drawn, Figures, slug};
use super::text::{self, counted};
use crate::lab::error::Result;
use crate::lab::judge::{Analysis, Scene, jobs};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::Spec;

/// The first column is text, the others are values.
#[derive(Debug, Default, Serialize)]
pub struct Table {
    /// A line feed begins small print.
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The names of the columns are separated by `|`.
    pub fn new(head: &str, rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        Self { head: head.split('|').map(str::to_owned).collect(), rows: rows.into_iter().collect() }
    }

    /// A row per strategy: its cells follow its name.
    pub fn by_strategy(
        names: &[String],
        head: impl Iterator<Item = String>,
        cells: impl Fn(&str) -> Vec<String>,
    ) -> Self {
        let row = |name: &String| once(name.clone()).chain(cells(name)).collect();
        Self {
            head: once("Strategy".to_owned()).chain(head).collect(),
            rows: names.iter().map(row).collect(),
        }
    }

    pub fn markdown(&self) -> String {
        let line = |row: &Vec<String>| {
            format!("| {} |\n", row.iter().map(|cell| cell.replace('|', "\\|")).join(" | "))
        };
        let rule = vec!["---".to_owned(); self.head.len()];
        [&self.head, &rule].into_iter().chain(&self.rows).map(line).collect()
    }
}

pub fn page(data: &Data, analysis: &Analysis, figures: &Figures, card: &Card) -> Result<Value> {
    let environment = &data.environment;
    let subtitle = format!(
        "{}: {}, {} runs of {} on {}, {}",
        environment.experiment,
        counted(analysis.rounds, "round"),
        analysis.rows.len(),
        measured(&data.spec),
        environment.label,
        moment(&environment.started)
    );
    // What the keeper of the results has to say, and what keeps them from being believed.
    let note = [data.note.clone(), jobs::alarm(data)];
    let debug = data.runs.iter().any(RunData::is_debug_build) || environment.machine.profile == "debug";
    let sections = analysis.scenes.iter().zip(&figures.scenes).enumerate().map(section);
    Ok(json!({
        "experiment": environment.experiment,
        "question": data.spec.question,
        "source": data.spec.source,
        "subtitle": subtitle,
        "note": note.into_iter().flatten().join(" "),
        "debug": debug,
        "card": card.view(),
        "glance": glance::glance(analysis),
        "glance_says": glance::caption(analysis),
        "losses": losses::losses(analysis),
        "claims": claims::views(&analysis.claims, ""),
        // Figures that answer the question, and what is not drawn because it shows nothing.
        "figures": figures.answers,
        "says": figures.says,
        "sections": sections.collect::<Vec<_>>(),
        "method": method::method(data, analysis)?,
        "environment": method::facts(data)?,
        "commands": environment.commands.iter().collect::<Vec<_>>(),
        "voids": tables::void_rates(analysis),
        "strip": figures.ledger,
        "ledger": tables::ledger(&analysis.rows),
        "files": files(data),
    }))
}

/// Measured time of runs: `1.2 s`, or `2 to 7 s` if it depends on load or fault.
fn measured(spec: &Spec) -> String {
    let of_load = |load| spec.factors.fault.iter().map(move |fault| spec.measured_s(load, *fault));
    let mut times: Vec<f64> = spec.load.iter().flat_map(of_load).collect();
    times.sort_by(f64::total_cmp);
    match times.as_slice() {
        [first, .., last] if first < last => format!("{first} to {last} s"),
        [first, ..] => format!("{first} s"),
        [] => String::new(),
    }
}

/// `20261123T013000Z` as `2026-11-23 01:30 UTC`.
pub fn moment(stamp: &str) -> String {
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp);
    moment.map_or_else(|_| stamp.into(), |moment| moment.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn files(data: &Data) -> Vec<&'static str> {
    let has = |what: fn(&RunData) -> bool| data.runs.iter().any(what);
    let intervals = |run: &RunData| run.record.as_ref().is_some_and(|record| !record.intervals.is_empty());
    let always =
        ["spec.toml", "machine.json", data.file, "columns.csv", "runs.csv", "reasons.csv", "errors.csv"];
    let some = [
        (true, "workers.csv"),
        (true, "percentiles.csv"),
        (has(|run| !run.series.samples.is_empty()), "series.csv"),
        (has(intervals), "intervals.csv"),
        (has(|run| run.hlog.is_some()), "intervals/"),
        (true, "plots/"),
    ];
    always.into_iter().chain(text::holding(some)).collect()
}

/// The details of a load of a group.
fn section((index, (scene, figures)): (usize, (&Scene, &Vec<Drawn>))) -> Value {
    let title = text::capital(&text::place(scene));
    json!({
        "anchor": format!("{}-{}", index + 1, slug(&title)),
        "title": title,
        // The load and the set-up as an experiment writes them.
        "describe": format!("{}; {}", text::load_line(scene), scene.group.levels.description()),
        // On the HTML page only.
        "figures": figures,
        "order": tables::order(scene),
        "endurance": tables::endurance(scene),
        "costs": tables::costs(scene),
        "voids": tables::void_as_worst(scene),
        "balance": tables::balance(scene),
        "differences": tables::differences(scene),
    })
}
