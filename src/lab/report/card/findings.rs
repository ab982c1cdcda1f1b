//! What the judge concluded, by name and place: the input of the words.

use itertools::Itertools;

use super::soak::Slope;
use crate::lab::judge::claims::Claim;
use crate::lab::judge::losses::{Losses, Mean};
use crate::lab::judge::rows::Verdict;
use crate::lab::judge::{Analysis, CellResult, Comparison, Conclusion, ENOUGH_ROUNDS, Kind, Scene};
use crate::lab::report::names;
use crate::lab::report::text::counted;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{self, Cell};
use crate::lab::spec::{Metric, Spec};
use crate::listener::STRATEGIES;

#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub experiment: String,
    pub decision: String,
    pub baseline: String,
    /// The baseline is a measure of what the machine permits, and nothing to take.
    pub yardstick: bool,
    /// Complete ones.
    pub rounds: usize,
    pub repeated: usize,
    pub runs: usize,
    pub void: usize,
    /// The farthest that the second runs of a column were from the first, in percent.
    pub noise: Vec<(Metric, f64)>,
    /// Runs are too short for the percentile that is judged.
    pub short: bool,
    /// The results have a note: their method is superseded.
    pub noted: bool,
    pub columns: Vec<Column>,
    pub claims: Vec<Claim>,
    pub slopes: Vec<Slope>,
    pub losses: Vec<Lost>,
    pub spread: Vec<Spread>,
    pub missing: Vec<String>,
}

/// A column that is compared with another one.
#[derive(Clone, Debug, Default)]
pub struct Column {
    pub name: String,
    pub base: String,
    /// It is a listener, not another server.
    pub own: bool,
    /// The options by which it differs from its base.
    pub option: Option<String>,
    /// In the primary metric of each load.
    pub judged: Vec<Effect>,
    /// In other metrics.
    pub described: Vec<Effect>,
}

#[derive(Clone, Debug)]
pub struct Effect {
    /// Empty if there is only one.
    pub place: String,
    pub found: Comparison,
    /// Of a metric that counts connections per fault.
    pub counts: Option<Counts>,
    /// How far the second run of the base was from the first under this load, in percent.
    pub noise: f64,
}

/// Connections delayed per fault.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub own: Mean,
    pub base: Mean,
    /// The fault as a noun: `hang`.
    pub event: &'static str,
    /// What becomes of them: `delays`.
    pub verb: &'static str,
}

/// What faults of one kind did with one column.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    pub column: String,
    /// When the fault acts; empty for faults at random.
    pub place: String,
    /// A noun: `hang`.
    pub event: &'static str,
    pub losses: Losses,
}

/// How much more than its fair share the busiest worker gets, under the least even load.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    pub column: String,
    pub most: f64,
    pub concentrated: bool,
}

impl Effect {
    /// A difference that counts and matters.
    pub fn differs(&self) -> bool {
        self.found.conclusion == Conclusion::Differs && !self.found.is_small()
    }

    /// More requests per second, less of anything else.
    pub fn is_better(&self) -> bool {
        match &self.counts {
            Some(counts) => counts.own.0 < counts.base.0,
            None => (self.found.change > 0.0) == (self.found.metric == Metric::Rate),
        }
    }

    /// Half and double are equal.
    pub fn size(&self) -> f64 {
        match &self.counts {
            Some(counts) => (counts.own.0 - counts.base.0).abs(),
            None => (1.0 + self.found.change / 100.0).max(0.001).ln().abs(),
        }
    }
}

impl Findings {
    /// Faults were injected, and no comparison can be judged.
    pub fn is_about_losses(&self) -> bool {
        !self.losses.is_empty() && (self.columns.is_empty() || self.rounds < ENOUGH_ROUNDS)
    }

    pub fn of(data: &Data, analysis: &Analysis) -> Self {
        let spec = &data.spec;
        let void = analysis.rows.iter().filter(|row| row.verdict == Verdict::Invalid).count();
        Self {
            experiment: data.environment.experiment.clone(),
            decision: spec.decision.clone(),
            baseline: spec.baseline.clone(),
            yardstick: !spec.factors.listener.contains(&spec.baseline) && !spec.factors.listener.is_empty(),
            rounds: analysis.rounds,
            repeated: analysis.repeated,
            runs: analysis.rows.iter().filter(|row| row.verdict != Verdict::Skipped).count(),
            void,
            noise: noise(analysis),
            short: analysis.scenes.iter().any(is_short),
            noted: data.note.is_some(),
            columns: columns(spec, analysis),
            claims: analysis.claims.clone(),
            slopes: Slope::all(spec, analysis),
            losses: losses(analysis),
            spread: spread(analysis),
            missing: missing(data, analysis),
        }
    }
}

/// The farthest that a second run was from the first, for each primary metric.
fn noise(analysis: &Analysis) -> Vec<(Metric, f64)> {
    let mut all: Vec<(Metric, f64)> = Vec::new();
    for scene in &analysis.scenes {
        let Some(noise) = twins(scene, scene.primary()) else { continue };
        match all.iter_mut().find(|(metric, _)| *metric == scene.primary()) {
            Some((_, most)) => *most = most.max(noise),
            None => all.push((scene.primary(), noise)),
        }
    }
    all
}

/// Of the second runs in a scene, without those that the load generator limited.
fn twins(scene: &Scene, metric: Metric) -> Option<f64> {
    let measured = |c: &&Comparison| {
        let bound = metric.is_of_the_loop() && scene.results[c.cell].client_bound;
        c.conclusion == Conclusion::Twin && c.metric == metric && !bound
    };
    let all = scene.comparisons.iter().filter(measured);
    all.map(|c| c.interval.low.abs().max(c.interval.high.abs())).reduce(f64::max)
}

fn is_short(scene: &Scene) -> bool {
    let calm = scene.group.levels.fault.is_none() && !scene.random_faults;
    let judged = scene.primary().quantile().is_some_and(|quantile| quantile >= 0.99);
    calm && judged && scene.results.iter().filter_map(|result| result.length).any(|length| !length.enough())
}

fn columns(spec: &Spec, analysis: &Analysis) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for scene in &analysis.scenes {
        let cells: Vec<Cell> = scene.results.iter().map(|result| result.cell.clone()).collect();
        let own = scene.comparisons.iter().filter(|c| c.conclusion != Conclusion::Twin);
        for comparison in own {
            let cell = &cells[comparison.cell];
            let base = plan::base(&cells, cell);
            let place = columns.iter().position(|column| column.name == cell.column());
            let place = place.unwrap_or_else(|| {
                columns.push(Column {
                    name: cell.column().to_owned(),
                    base: cells[base].column().to_owned(),
                    own: cell.peer.is_none(),
                    option: options(cell),
                    ..Column::default()
                });
                columns.len() - 1
            });
            let effect = effect(spec, scene, comparison, base);
            let list =
                if comparison.primary { &mut columns[place].judged } else { &mut columns[place].described };
            list.push(effect);
        }
    }
    columns
}

fn options(cell: &Cell) -> Option<String> {
    cell.has_options().then(|| cell.listener[cell.strategy().len()..].trim().to_owned())
}

fn effect(spec: &Spec, scene: &Scene, comparison: &Comparison, base: usize) -> Effect {
    let metric = comparison.metric;
    let counts = || {
        let late = metric == Metric::DelayedPerFault;
        let of = |result: &CellResult| match late {
            true => result.losses.delayed(),
            false => result.estimate(metric).map(|lost| (lost.median, Some(lost.interval))),
        };
        let event = names::fault(scene.group.levels.fault?).event;
        Some(Counts {
            own: of(&scene.results[comparison.cell])?,
            base: of(&scene.results[base])?,
            event,
            verb: if late { "delays" } else { "loses" },
        })
    };
    Effect {
        place: names::place(scene, &spec.factors, spec.load.len()),
        found: comparison.clone(),
        counts: metric.is_per_fault().then(counts).flatten(),
        noise: twins(scene, metric).unwrap_or(0.0),
    }
}

fn losses(analysis: &Analysis) -> Vec<Lost> {
    let struck =
        analysis.scenes.iter().filter(|scene| scene.group.levels.fault.is_some() || scene.random_faults);
    let mut all: Vec<Lost> = Vec::new();
    for scene in struck {
        let fault = scene.group.levels.fault;
        let words = fault.map(names::fault);
        let event = words.as_ref().map_or("fault", |words| words.event);
        let place = words.map(|words| words.when).unwrap_or_default();
        for result in scene.results.iter().filter(|result| !result.cell.twin && result.counted > 0) {
            let column = result.cell.column().to_owned();
            let known = all.iter_mut().find(|lost| lost.column == column && lost.place == place);
            match known {
                Some(lost) => lost.losses = std::mem::take(&mut lost.losses).plus(&result.losses),
                None => all.push(Lost { column, place: place.clone(), event, losses: result.losses.clone() }),
            }
        }
    }
    all
}

fn spread(analysis: &Analysis) -> Vec<Spread> {
    let mut all: Vec<Spread> = Vec::new();
    let calm =
        analysis.scenes.iter().filter(|scene| scene.group.levels.fault.is_none() && !scene.random_faults);
    let own =
        calm.flat_map(|scene| scene.results.iter().filter(|result| !result.cell.twin && result.used > 0));
    for (column, spread) in own.filter_map(|result| Some((result.cell.column(), result.spread?))) {
        let (times, concentrated) = (spread.max_over_mean, spread.kind == Kind::Concentrated);
        match all.iter_mut().find(|known| known.column == column) {
            Some(known) => {
                known.most = known.most.max(times);
                known.concentrated |= concentrated;
            }
            None => all.push(Spread { column: column.to_owned(), most: times, concentrated }),
        }
    }
    all
}

/// What the experiment does not tell: what was skipped or did not count, and what it does not vary.
fn missing(data: &Data, analysis: &Analysis) -> Vec<String> {
    let factors = &data.spec.factors;
    let skipped = analysis.rows.iter().filter(|row| row.verdict == Verdict::Skipped);
    let skipped =
        skipped.map(|row| format!("{} ({})", row.peer.as_ref().unwrap_or(&row.listener), row.why()));
    let empty = |scene: &&Scene| {
        scene.results.iter().any(|result| result.runs > 0)
            && scene.results.iter().all(|result| result.used == 0)
    };
    let place = |scene: &Scene| names::place(scene, factors, data.spec.load.len());
    let empty = analysis.scenes.iter().filter(empty);
    let empty = empty.map(|scene| format!("response times {} (no run counts)", place(scene)));
    let does = |kind: &str| factors.respond.iter().any(|work| work.starts_with(kind));
    let others = STRATEGIES.iter().filter(|entry| {
        !factors.listener.iter().any(|name| name.split([':', ' ']).next() == Some(entry.name))
    });
    let others = others.count();
    let general = [
        (!does("cgi"), "handlers (CGI)".to_owned()),
        (!does("cgi") && !does("spin"), "work that computes".into()),
        (factors.fault == [None] && data.spec.soak.is_none(), "faults".into()),
        (others > 0 && !factors.listener.is_empty(), counted(others, "other listener")),
        (true, format!("more than {} processors", data.environment.machine.cores)),
        (true, "a network".into()),
    ];
    let general = general.into_iter().filter(|(is, _)| *is).map(|(_, text)| text);
    skipped.unique().chain(empty).chain(general).collect()
}
