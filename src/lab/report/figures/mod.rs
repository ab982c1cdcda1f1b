//! Which figures a report has, and in which order: those that the data support, each drawn wide and narrow.
//!
//! The files beside this one bring the judge's results and the raw data into the shapes that the plots ask for.

mod compared;
mod course;
mod endurance;
mod latency;
mod runs;
mod shares;
mod workers;

use rayon::prelude::*;
use serde::Serialize;

use self::runs::Runs;
use crate::lab::error::Result;
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::{Figure, Look, NARROW, WIDE, look};
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{Cell, Group};

/// A figure in a report.
#[derive(Clone, Debug, Serialize)]
pub struct Drawn {
    /// File of the wide form, relative to the report.
    pub file: String,
    /// What it shows.
    pub alt: String,
    /// For a desk.
    pub wide: String,
    /// For a phone.
    pub narrow: String,
    /// For a file of its own.
    #[serde(skip)]
    pub svg: String,
}

/// All figures of a report.
#[derive(Debug, Default)]
pub struct Figures {
    /// Per scene: those that answer the question, then those that explain the answer.
    pub scenes: Vec<[Vec<Drawn>; 2]>,
    /// Per group of scenes, where there are loads enough: latency against throughput.
    pub groups: Vec<(Group, Drawn)>,
    /// The run ledger.
    pub ledger: Option<Drawn>,
}

impl Figures {
    /// Every one.
    pub fn all(&self) -> impl Iterator<Item = &Drawn> {
        let scenes = self.scenes.iter().flatten().flatten();
        scenes.chain(self.groups.iter().map(|(_, drawn)| drawn)).chain(&self.ledger)
    }
}

/// Draws all figures.
///
/// # Errors
/// None that is known.
pub fn draw(data: &Data, analysis: &Analysis) -> Result<Figures> {
    let runs = Runs::of(data, analysis);
    let several = analysis.scenes.len() > data.spec.load.len();
    let scenes = analysis.scenes.par_iter().enumerate().map(|(index, scene)| {
        let name = slug(&scene.load.name);
        let stem = if several { format!("{}-{name}", index + 1) } else { name };
        self::scene(scene, analysis, &runs, &stem)
    });
    let scenes = scenes.collect::<Result<_>>()?;
    let ledger = compared::ledger(analysis);
    Ok(Figures {
        scenes,
        groups: groups(analysis)?,
        ledger: Some(both("plots/ledger.svg".into(), &ledger.title, |width| ledger.draw(width))?),
    })
}

/// Latency against throughput, once per group.
fn groups(analysis: &Analysis) -> Result<Vec<(Group, Drawn)>> {
    let mut drawn: Vec<(Group, Drawn)> = Vec::new();
    for scene in &analysis.scenes {
        if drawn.iter().any(|(group, _)| *group == scene.group) {
            continue;
        }
        let members: Vec<&Scene> =
            analysis.scenes.iter().filter(|other| other.group == scene.group).collect();
        let Some(hockey) = compared::hockey(&members, analysis.enough) else { continue };
        let number = if drawn.is_empty() { String::new() } else { format!("-{}", drawn.len() + 1) };
        let figure =
            both(format!("plots/throughput{number}.svg"), &hockey.title, |width| hockey.draw(width))?;
        drawn.push((scene.group.clone(), figure));
    }
    Ok(drawn)
}

/// Whether enough scenes have a fault that the table of losses is the report: then other tables and figures of each would
/// bury it, and make the page heavy.
pub fn counts_losses(analysis: &Analysis) -> bool {
    const MANY: usize = 6;
    analysis.scenes.len() > MANY && analysis.scenes.iter().all(|scene| scene.group.levels.fault.is_some())
}

fn scene(scene: &Scene, analysis: &Analysis, runs: &Runs, stem: &str) -> Result<[Vec<Drawn>; 2]> {
    let file = |kind: &str| format!("plots/{kind}-{stem}.svg");
    let (mut main, mut more) = (Vec::new(), Vec::new());
    for (index, figure) in endurance::endurance(scene, runs).iter().enumerate() {
        let kind = if index == 0 { "endurance".to_owned() } else { format!("endurance-{}", index + 1) };
        main.push(both(file(&kind), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = course::recovery(scene, runs) {
        main.push(both(file("recovery"), &figure.title, |width| figure.draw(width))?);
    }
    if counts_losses(analysis) {
        return Ok([main, more]);
    }
    if let Some(figure) = latency::percentiles(scene, analysis, runs) {
        main.push(both(file("percentiles"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = shares::shares(scene) {
        main.push(both(file("shares"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = compared::forest(scene, analysis) {
        main.push(both(file("differences"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = compared::costs(scene, analysis) {
        more.push(both(file("costs"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = workers::heat(scene, runs) {
        more.push(both(file("heat"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = course::latency(scene, runs) {
        more.push(both(file("over-time"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = workers::queues(scene, runs) {
        more.push(both(file("queues"), &figure.title, |width| figure.draw(width))?);
    }
    if let Some(figure) = latency::first_byte(scene, runs) {
        more.push(both(file("first-byte"), &figure.title, |width| figure.draw(width))?);
    }
    Ok([main, more])
}

/// A figure in both widths.
///
/// # Errors
/// See `draw`.
pub fn both(file: String, title: &str, draw: impl Fn(i32) -> Result<Figure>) -> Result<Drawn> {
    let (wide, narrow) = (draw(WIDE)?, draw(NARROW)?);
    Ok(Drawn { file, alt: title.into(), svg: wide.file(), wide: wide.inline(), narrow: narrow.inline() })
}

/// A name that is fit for a file and an anchor.
pub fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(plain).collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Results with runs that count.
fn shown(scene: &Scene) -> impl Iterator<Item = &CellResult> {
    scene.results.iter().filter(|result| result.used > 0)
}

/// A cell's name where its group is known: the strategy or server alone.
pub fn name(cell: &Cell) -> String {
    format!("{}{}", cell.column(), if cell.twin { " (A/A)" } else { "" })
}

fn look_of(cell: &Cell) -> Look {
    look(cell.column(), cell.twin)
}

/// What a figure of this scene is about: the load, and what tells its group from others.
fn about(scene: &Scene) -> String {
    let group = &scene.group.title;
    let comma = if group.is_empty() { "" } else { ", " };
    format!("{}{comma}{group}", scene.load.name)
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn names_become_fit_for_files() {
        assert_eq!(slug("Half load, 50 % (open)"), "half-load-50-open");
    }
}
