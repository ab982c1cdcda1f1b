//! The figures of a report. The other files convert results and raw data into the input of the plots.
//!
//! First the few figures that answer the question, each over all scenes: what shows nothing becomes a sentence. Then, per scene,
//! figures that explain the answer; the page folds them.

mod claims;
mod costs;
mod distributions;
mod faults;
mod lead;
mod levels;
mod over_time;
mod runs;
mod soak;
mod spread;

use std::iter::once;

use itertools::Itertools;
use rayon::prelude::*;
use serde::Serialize;

use self::runs::Runs;
use super::text::{self, capital, few, place};
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::{Caption, Curves, Dots, Figure, Ledger, NARROW, Style, WIDE, styles};
use crate::lab::results::store::Data;

#[derive(Clone, Debug, Serialize)]
pub struct Drawn {
    /// Relative to the report.
    pub file: String,
    pub title: String,
    /// What is seen, in words.
    pub alt: String,
    /// Empty for a figure that the page only links to.
    pub wide: String,
    /// Empty for a figure that a small screen scrolls.
    pub narrow: String,
    /// With a title and a background, for the file.
    #[serde(skip)]
    pub svg: String,
}

impl Drawn {
    pub fn new(file: String, draw: impl Fn(i32) -> Figure) -> Self {
        let narrow = draw(NARROW).inline();
        Self { narrow, ..Self::wide(file, draw) }
    }

    fn wide(file: String, draw: impl Fn(i32) -> Figure) -> Self {
        let wide = draw(WIDE);
        let (title, alt, svg) = (wide.title.clone(), wide.says.clone(), wide.file());
        Self { file, title, alt, svg, wide: wide.inline(), narrow: String::new() }
    }
}

/// More panels are left to the tables.
const MOST_PANELS: usize = 6;

/// What a figure would show, or the sentences that say that there is nothing to see.
#[derive(Debug, Default)]
struct Told<F> {
    figures: Vec<F>,
    says: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Figures {
    /// They answer the question.
    pub answers: Vec<Drawn>,
    /// What is not drawn because it shows nothing.
    pub says: Vec<String>,
    /// Per scene, figures that explain the answer.
    pub scenes: Vec<Vec<Drawn>>,
    pub ledger: Option<Drawn>,
}

impl Figures {
    pub fn all(&self) -> impl Iterator<Item = &Drawn> {
        self.answers.iter().chain(self.scenes.iter().flatten()).chain(&self.ledger)
    }
}

pub fn draw(data: &Data, analysis: &Analysis) -> Figures {
    let runs = Runs::of(data, analysis);
    let mut figures = Figures::default();
    figures.add("load", levels::levels(analysis), Curves::draw);
    figures.add("claims", claims::claims(analysis), Dots::draw);
    figures.add("change", lead::lead(analysis), Dots::draw);
    figures.add("fault", faults::faults(analysis, &runs), Curves::draw);
    figures.add("slopes", soak::slopes(analysis), Dots::draw);
    figures.add("faults", soak::lanes(analysis, &runs), Dots::draw);
    figures.add("spread", spread::spread(analysis, &runs), Dots::draw);
    let scene = |(index, scene)| self::scene(scene, analysis, &runs, index);
    figures.scenes = analysis.scenes.par_iter().enumerate().map(scene).collect();
    figures.keep_light();
    let ledger = ledger(analysis);
    figures.ledger = Some(Drawn::wide("plots/more/ledger.svg".into(), |width| ledger.draw(width)));
    figures
}

impl Figures {
    /// Leaves out what would make the page heavy: the narrow forms of answers, which then scroll, and folded figures, which then
    /// are links to their files, the less important kinds first.
    fn keep_light(&mut self) {
        let wide = self.answers.iter().map(|drawn| drawn.wide.len()).sum();
        limit(self.answers.iter_mut().map(|drawn| &mut drawn.narrow), wide, ANSWERS);
        let folded = self.scenes.iter_mut().flat_map(|scene| scene.iter_mut().enumerate());
        let by_kind = folded.sorted_by_key(|(kind, _)| *kind);
        limit(by_kind.map(|(_, drawn)| &mut drawn.wide), 0, FOLDED);
    }

    fn add<F>(&mut self, name: &str, told: Told<F>, draw: impl Fn(&F, i32) -> Figure) {
        for (index, figure) in told.figures.iter().enumerate() {
            let number = if index == 0 { String::new() } else { format!("-{}", index + 1) };
            self.answers.push(Drawn::new(format!("plots/{name}{number}.svg"), |width| draw(figure, width)));
        }
        self.says.extend(told.says);
    }
}

/// The most that the figures of the answer, and those that are folded, may add to a page, in bytes.
const ANSWERS: usize = 180_000;
const FOLDED: usize = 80_000;

/// Empties what would make the whole, which weighs `weight` without them, heavier than `most`.
fn limit<'a>(drawings: impl Iterator<Item = &'a mut String>, mut weight: usize, most: usize) {
    for drawing in drawings {
        if weight + drawing.len() > most {
            drawing.clear();
        }
        weight += drawing.len();
    }
}

fn scene(scene: &Scene, analysis: &Analysis, runs: &Runs, index: usize) -> Vec<Drawn> {
    let file = |kind: &str| format!("plots/more/{kind}-{}-{}.svg", index + 1, slug(&scene.load.name));
    let curves = [
        ("percentiles", distributions::percentiles(scene, analysis, runs)),
        ("first-byte", distributions::first_byte(scene, runs)),
        ("over-time", over_time::latency(scene, runs)),
        ("queues", over_time::queues(scene, runs)),
    ];
    let curves = curves.into_iter().filter_map(|(kind, curves)| Some((kind, curves?)));
    let curves = curves.map(|(kind, curves)| Drawn::wide(file(kind), |width| curves.draw(width)));
    let costs = costs::costs(scene, analysis);
    let costs = costs.map(|costs| Drawn::wide(file("costs"), |width| costs.draw(width)));
    let heat = spread::heat(scene, runs);
    let heat = heat.map(|heat| Drawn::wide(file("heat"), |width| heat.draw(width)));
    curves.chain(costs).chain(heat).collect()
}

fn ledger(analysis: &Analysis) -> Ledger {
    let note = "Gaps separate rounds. A round has every cell once under every load, in shuffled order.";
    Ledger {
        caption: Caption::new("All runs in order", note),
        runs: analysis.rows.iter().map(|row| (row.round, row.verdict)).collect(),
    }
}

/// For file names and anchors.
pub fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().map(plain).collect();
    text.split('-').filter(|part| !part.is_empty()).join("-")
}

/// Results with runs that count, and their styles.
fn shown(scene: &Scene) -> impl Iterator<Item = (&CellResult, Style)> {
    let columns: Vec<(&str, bool)> =
        scene.results.iter().map(|result| (result.cell.column(), result.cell.twin)).collect();
    scene.results.iter().zip(styles(&columns)).filter(|(result, _)| result.used > 0)
}

/// The columns of all scenes but second runs, with their styles.
fn columns<'a>(scenes: impl IntoIterator<Item = &'a Scene>) -> Vec<(String, Style)> {
    let results = scenes.into_iter().flat_map(|scene| &scene.results);
    let names: Vec<(&str, bool)> = results.map(|result| (result.cell.column(), false)).unique().collect();
    names.iter().map(|(name, _)| (*name).to_owned()).zip(styles(&names)).collect()
}

/// `Load 85 %, 4 workers`: a scene in the title of a figure.
fn heading(scene: &Scene) -> String {
    capital(&place(scene))
}

/// The headings of panels, each with what else distinguishes it for the line below: what all have in common is left out.
fn headings<'a>(scenes: impl IntoIterator<Item = &'a Scene>) -> Vec<(String, String)> {
    let parts = |scene: &Scene| {
        once(text::load_name(&scene.load.name)).chain(text::group_parts(&scene.group)).collect()
    };
    let all: Vec<Vec<String>> = scenes.into_iter().map(parts).collect();
    let distinct = |part: &&String| all.len() == 1 || all.iter().any(|other| !other.contains(part));
    let one = |parts: &Vec<String>| {
        let mut own: Vec<String> = parts.iter().filter(distinct).cloned().collect();
        let last = own.pop().unwrap_or_else(|| parts[0].clone());
        (capital(&last), own.join(", "))
    };
    all.iter().map(one).collect()
}

/// Two parts of a line, of which either may be empty.
fn joined(one: &str, other: &str) -> String {
    [one, other].into_iter().filter(|part| !part.is_empty()).join("; ")
}

/// Names of scenes; more than a few are counted.
fn places(scenes: &[&Scene]) -> String {
    few(&scenes.iter().map(|scene| place(scene)).collect::<Vec<_>>(), 6, "loads and set-ups")
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn names_become_fit_for_files() {
        assert_eq!(slug("Half load, 50 % (open)"), "half-load-50-open");
    }
}
