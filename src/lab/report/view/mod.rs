//! What the templates show: texts and tables, in order, formatted.

pub mod claims;
mod facts;
pub mod glance;
pub mod losses;
mod tables;

use serde::Serialize;

use super::answer;
use super::figures::{Drawn, Figures, counts_losses, slug};
use crate::lab::judge::{Analysis, Scene};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::Spec;
use crate::lab::spec::plan::Group;

/// Scenes up to which all figures are open from the start.
const FEW_SCENES: usize = 2;

#[derive(Debug, Serialize)]
pub struct ReportPage {
    pub experiment: String,
    pub question: String,
    pub source: String,
    pub subtitle: String,
    pub note: Option<String>,
    pub debug: bool,
    pub answer: Vec<String>,
    /// All figures that matter in one table, and what it shows.
    pub glance: Table,
    pub glance_says: String,
    /// What became of connections, where a fault struck the server.
    pub losses: Option<losses::LossTable>,
    /// What is missing or marked.
    pub left_out: Vec<String>,
    pub claims: Vec<claims::ClaimView>,
    pub sections: Vec<Section>,
    /// Whether there are sections enough to need a list of contents.
    pub contents: bool,
    /// Whether figures that explain are folded away.
    pub folded: bool,
    pub method: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub commands: Vec<(String, Vec<String>)>,
    pub strip: Option<Drawn>,
    pub ledger: Table,
    /// The files of figures beside the page, for the list of raw data.
    pub files: Vec<&'static str>,
}

/// One load of one group, or what several loads say together.
#[derive(Debug, Default, Serialize)]
pub struct Section {
    pub anchor: String,
    pub title: String,
    pub describe: String,
    /// Figures that answer the question.
    pub figures: Vec<Drawn>,
    /// Figures that explain the answer: on the HTML page only.
    pub more: Vec<Drawn>,
    pub order: Table,
    /// How the server fared over a long run.
    pub endurance: Table,
    pub costs: Table,
    pub balance: Table,
    pub differences: Table,
}

/// A table; the first column is text, the others are figures.
#[derive(Debug, Default, Serialize)]
pub struct Table {
    /// Names of the columns; a line feed begins small print.
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Puts the report together.
pub fn page(data: &Data, analysis: &Analysis, figures: Figures) -> ReportPage {
    let environment = &data.environment;
    let [found, left_out] = answer::in_short(analysis);
    let losses = losses::losses(analysis);
    let (glance, glance_says) =
        glance::glance(analysis).filter(|_| !counts_losses(analysis)).unwrap_or_default();
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
        note: data.note.clone(),
        debug: data.runs.iter().any(RunData::is_debug_build) || environment.machine.profile == "debug",
        answer: claims::sentence(analysis.claims.iter()).into_iter().chain(found).collect(),
        glance,
        glance_says,
        losses,
        left_out,
        claims: claims::views(&analysis.claims, ""),
        contents: analysis.scenes.len() > FEW_SCENES,
        folded: analysis.scenes.len() > FEW_SCENES,
        strip: figures.ledger.clone(),
        sections: sections(analysis, figures),
        method: facts::method(data, analysis),
        environment: facts::facts(data),
        commands: commands.collect(),
        ledger: tables::ledger(&analysis.rows),
        files: files(data),
    }
}

/// How long runs measure: `1.2 s`, or `2 to 7 s` where that is a matter of the fault.
fn measured(spec: &Spec) -> String {
    let mut times: Vec<f64> = spec.factors.fault.iter().map(|fault| spec.measured_s(*fault)).collect();
    times.sort_by(f64::total_cmp);
    match times.as_slice() {
        [first, .., last] if first < last => format!("{first} to {last} s"),
        [first, ..] => format!("{first} s"),
        [] => String::new(),
    }
}

/// The answer in words with all figures; what came of published claims comes first.
pub fn answer(analysis: &Analysis) -> Vec<String> {
    let claims = claims::sentence(analysis.claims.iter());
    claims.into_iter().chain(answer::answer(analysis)).collect()
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
        vec!["spec.toml", "machine.json", data.file, "runs.csv", "workers.csv", "percentiles.csv"];
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

fn sections(analysis: &Analysis, figures: Figures) -> Vec<Section> {
    let mut together: Vec<(Group, Drawn)> = figures.groups;
    let mut sections = Vec::new();
    for (scene, [main, more]) in analysis.scenes.iter().zip(figures.scenes) {
        if let Some(index) = together.iter().position(|(group, _)| *group == scene.group) {
            let (group, drawn) = together.remove(index);
            sections.push(across(&group, drawn));
        }
        sections.push(section(scene, analysis, main, more));
    }
    for (index, section) in sections.iter_mut().enumerate() {
        section.anchor = format!("{}-{}", index + 1, slug(&section.title));
    }
    sections
}

/// What the loads of a group say together.
fn across(group: &Group, drawn: Drawn) -> Section {
    Section {
        title: titled("All loads", group),
        describe: group.levels.description(),
        figures: vec![drawn],
        ..Section::default()
    }
}

fn section(scene: &Scene, analysis: &Analysis, figures: Vec<Drawn>, more: Vec<Drawn>) -> Section {
    Section {
        title: titled(&answer::capital(&scene.load.name), &scene.group),
        describe: format!("{}; {}", answer::load_line(scene), scene.group.levels.description()),
        figures,
        more,
        order: tables::order(scene),
        endurance: tables::endurance(scene),
        costs: tables::costs(scene),
        balance: tables::balance(scene),
        differences: tables::differences(scene, analysis),
        ..Section::default()
    }
}

fn titled(name: &str, group: &Group) -> String {
    if group.title.is_empty() { name.into() } else { format!("{name}, {}", group.title) }
}
