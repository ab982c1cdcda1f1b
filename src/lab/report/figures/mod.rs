//! The figures of a report in order, each drawn wide and narrow. The other files convert results and raw data
//! into the input of the plots.

mod compared;
mod endurance;
mod latency;
mod runs;
mod shares;
mod timeline;
mod workers;

use rayon::prelude::*;
use serde::Serialize;

use self::runs::Runs;
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::{Figure, NARROW, Style, WIDE, style};
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{Cell, Group};

#[derive(Clone, Debug, Serialize)]
pub struct Drawn {
    /// Of the wide form, relative to the report.
    pub file: String,
    pub alt: String,
    pub wide: String,
    pub narrow: String,
    /// With a background, for the file.
    #[serde(skip)]
    pub svg: String,
}

impl Drawn {
    pub fn new(file: String, draw: impl Fn(i32) -> Figure) -> Self {
        let (wide, narrow) = (draw(WIDE), draw(NARROW));
        Self { file, alt: wide.title.clone(), svg: wide.file(), wide: wide.inline(), narrow: narrow.inline() }
    }
}

#[derive(Debug, Default)]
pub struct Figures {
    /// Per scene: figures that answer the question, and figures that explain the answer.
    pub scenes: Vec<[Vec<Drawn>; 2]>,
    /// Throughput against latency per group, if there are enough loads.
    pub groups: Vec<(Group, Drawn)>,
    pub ledger: Option<Drawn>,
}

impl Figures {
    pub fn all(&self) -> impl Iterator<Item = &Drawn> {
        let scenes = self.scenes.iter().flatten().flatten();
        scenes.chain(self.groups.iter().map(|(_, drawn)| drawn)).chain(&self.ledger)
    }
}

pub fn draw(data: &Data, analysis: &Analysis) -> Figures {
    let runs = Runs::of(data, analysis);
    let several = analysis.scenes.len() > data.spec.load.len();
    let scenes = analysis.scenes.par_iter().enumerate().map(|(index, scene)| {
        let name = slug(&scene.load.name);
        let stem = if several { format!("{}-{name}", index + 1) } else { name };
        self::scene(scene, analysis, &runs, &stem)
    });
    let ledger = compared::ledger(analysis);
    Figures {
        scenes: scenes.collect(),
        groups: groups(analysis),
        ledger: Some(Drawn::new("plots/ledger.svg".into(), |width| ledger.draw(width))),
    }
}

fn groups(analysis: &Analysis) -> Vec<(Group, Drawn)> {
    let mut drawn: Vec<(Group, Drawn)> = Vec::new();
    for scene in &analysis.scenes {
        if drawn.iter().any(|(group, _)| *group == scene.group) {
            continue;
        }
        let members: Vec<&Scene> =
            analysis.scenes.iter().filter(|other| other.group == scene.group).collect();
        let Some(figure) = compared::throughput_latency(&members, analysis.enough) else { continue };
        let number = if drawn.is_empty() { String::new() } else { format!("-{}", drawn.len() + 1) };
        let figure = Drawn::new(format!("plots/throughput{number}.svg"), |width| figure.draw(width));
        drawn.push((scene.group.clone(), figure));
    }
    drawn
}

/// Whether the report is reduced to the table of losses, because many scenes have a fault.
pub fn counts_losses(analysis: &Analysis) -> bool {
    const MANY: usize = 6;
    analysis.scenes.iter().filter(|scene| scene.group.levels.fault.is_some()).count() > MANY
}

fn scene(scene: &Scene, analysis: &Analysis, runs: &Runs, stem: &str) -> [Vec<Drawn>; 2] {
    let drawn =
        |kind: &str, draw: &dyn Fn(i32) -> Figure| Drawn::new(format!("plots/{kind}-{stem}.svg"), draw);
    let (mut main, mut more) = (Vec::new(), Vec::new());
    for (index, figure) in endurance::endurance(scene, runs).iter().enumerate() {
        let kind = if index == 0 { "endurance".to_owned() } else { format!("endurance-{}", index + 1) };
        main.push(drawn(&kind, &|width| figure.draw(width)));
    }
    let recovery = timeline::recovery(scene, runs);
    if counts_losses(analysis) {
        more.extend(recovery.map(|figure| drawn("more/recovery", &|width| figure.draw(width))));
        return [main, more];
    }
    main.extend(recovery.map(|figure| drawn("recovery", &|width| figure.draw(width))));
    let percentiles = latency::percentiles(scene, analysis, runs);
    main.extend(percentiles.map(|figure| drawn("percentiles", &|width| figure.draw(width))));
    main.extend(shares::shares(scene).map(|figure| drawn("shares", &|width| figure.draw(width))));
    main.extend(
        compared::forest(scene, analysis).map(|figure| drawn("differences", &|width| figure.draw(width))),
    );
    more.extend(
        compared::costs(scene, analysis).map(|figure| drawn("more/costs", &|width| figure.draw(width))),
    );
    more.extend(workers::heat(scene, runs).map(|figure| drawn("more/heat", &|width| figure.draw(width))));
    more.extend(
        timeline::latency(scene, runs).map(|figure| drawn("more/over-time", &|width| figure.draw(width))),
    );
    more.extend(workers::queues(scene, runs).map(|figure| drawn("more/queues", &|width| figure.draw(width))));
    more.extend(
        latency::first_byte(scene, runs).map(|figure| drawn("more/first-byte", &|width| figure.draw(width))),
    );
    [main, more]
}

/// For file names and anchors.
pub fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(plain).collect();
    text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Results with runs that count.
fn shown(scene: &Scene) -> impl Iterator<Item = &CellResult> {
    scene.results.iter().filter(|result| result.used > 0)
}

fn style_of(cell: &Cell) -> Style {
    style(cell.column(), cell.twin)
}

/// The load and the group, for titles.
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
