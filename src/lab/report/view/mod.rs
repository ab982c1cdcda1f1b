//! The content of the templates: formatted texts and tables.

pub mod claims;
mod facts;
pub mod glance;
mod left_out;
pub mod losses;
mod tables;
pub mod voids;

use serde::Serialize;

use super::card::Card;
use super::figures::{Drawn, Figures, slug};
use super::text;
use crate::lab::judge::{Analysis, Scene, jobs};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::Spec;

#[derive(Debug, Serialize)]
pub struct ReportPage {
    pub experiment: String,
    pub question: String,
    pub source: String,
    pub subtitle: String,
    pub note: Option<String>,
    pub debug: bool,
    pub card: CardView,
    pub glance: Table,
    pub glance_says: String,
    pub losses: Option<losses::LossTable>,
    pub claims: Vec<claims::ClaimView>,
    /// Figures that answer the question.
    pub figures: Vec<Drawn>,
    /// What is not drawn because it shows nothing.
    pub says: Vec<String>,
    /// The details of each load and set-up.
    pub sections: Vec<Section>,
    pub method: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub commands: Vec<(String, Vec<String>)>,
    /// Void runs by strategy.
    pub voids: Table,
    pub strip: Option<Drawn>,
    pub ledger: Table,
    pub files: Vec<&'static str>,
}

/// A load of a group.
#[derive(Debug, Default, Serialize)]
pub struct Section {
    pub anchor: String,
    pub title: String,
    /// The load and the set-up as an experiment writes them.
    pub describe: String,
    /// Figures that explain the answer: on the HTML page only.
    pub figures: Vec<Drawn>,
    pub order: Table,
    pub endurance: Table,
    pub costs: Table,
    /// What void runs could change.
    pub voids: Table,
    pub balance: Table,
    pub differences: Table,
}

/// The decision card of a page.
#[derive(Debug, Serialize)]
pub struct CardView {
    pub advice: String,
    pub effects: Vec<String>,
    /// Headings and texts.
    pub parts: Vec<(&'static str, String)>,
    /// The colour of the standing.
    pub class: &'static str,
}

impl CardView {
    pub fn of(card: &Card) -> Self {
        Self {
            advice: card.advice.clone(),
            effects: card.effects.clone(),
            parts: card.parts().into_iter().map(|(name, text)| (name, text.to_owned())).collect(),
            class: card.standing.class(),
        }
    }
}

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

    pub fn markdown(&self) -> String {
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = vec!["---".to_owned(); self.head.len()];
        [&self.head, &rule].into_iter().chain(&self.rows).map(line).collect()
    }
}

/// What the keeper of the results has to say, and what keeps them from being believed.
fn note(data: &Data) -> Option<String> {
    let notes: Vec<String> = [data.note.clone(), jobs::alarm(data)].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join(" "))
}

pub fn page(data: &Data, analysis: &Analysis, figures: Figures, card: &Card) -> ReportPage {
    let environment = &data.environment;
    let losses = losses::losses(analysis);
    let (glance, glance_says) = glance::glance(analysis).unwrap_or_default();
    let commands = environment.commands.iter().map(|(name, commands)| (name.clone(), commands.clone()));
    ReportPage {
        experiment: environment.experiment.clone(),
        question: data.spec.question.clone(),
        source: data.spec.source.clone(),
        subtitle: format!(
            "{}: {} round{}, {} runs of {} on {}, {}",
            environment.experiment,
            analysis.rounds,
            if analysis.rounds == 1 { "" } else { "s" },
            analysis.rows.len(),
            measured(&data.spec),
            environment.label,
            moment(&environment.started)
        ),
        note: note(data),
        debug: data.runs.iter().any(RunData::is_debug_build) || environment.machine.profile == "debug",
        card: CardView::of(card),
        glance,
        glance_says,
        losses,
        claims: claims::views(&analysis.claims, ""),
        voids: voids::rates(analysis),
        strip: figures.ledger.clone(),
        sections: analysis.scenes.iter().zip(figures.scenes).enumerate().map(section).collect(),
        figures: figures.answers,
        says: figures.says,
        method: left_out::sentences(analysis).into_iter().chain(facts::method(data, analysis)).collect(),
        environment: facts::facts(data),
        commands: commands.collect(),
        ledger: tables::ledger(&analysis.rows),
        files: files(data),
    }
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
    match (stamp.get(..4), stamp.get(4..6), stamp.get(6..8), stamp.get(9..11), stamp.get(11..13)) {
        (Some(year), Some(month), Some(day), Some(hour), Some(minute)) => {
            format!("{year}-{month}-{day} {hour}:{minute} UTC")
        }
        _ => stamp.into(),
    }
}

fn files(data: &Data) -> Vec<&'static str> {
    let mut files =
        vec!["spec.toml", "machine.json", data.file, "columns.csv", "runs.csv", "reasons.csv", "errors.csv"];
    files.extend(["workers.csv", "percentiles.csv"]);
    if data.runs.iter().any(|run| !run.series.samples.is_empty()) {
        files.push("series.csv");
    }
    if data.runs.iter().any(|run| run.record.as_ref().is_some_and(|record| !record.intervals.is_empty())) {
        files.push("intervals.csv");
    }
    if data.runs.iter().any(|run| run.hlog.is_some()) {
        files.push("intervals/");
    }
    files.push("plots/");
    files
}

fn section((index, (scene, figures)): (usize, (&Scene, Vec<Drawn>))) -> Section {
    let title = text::capital(&text::place(scene));
    Section {
        anchor: format!("{}-{}", index + 1, slug(&title)),
        title,
        describe: format!("{}; {}", text::load_line(scene), scene.group.levels.description()),
        figures,
        order: tables::order(scene),
        endurance: tables::endurance(scene),
        costs: tables::costs(scene),
        voids: voids::sensitivity(scene),
        balance: tables::balance(scene),
        differences: tables::differences(scene),
    }
}
