//! What the judge concluded, by name and place: the input of the words.

use itertools::Itertools;

use super::soak::Slope;
use crate::lab::judge::claims::Claim;
use crate::lab::judge::losses::{Losses, Mean};
use crate::lab::judge::rows::Verdict;
use crate::lab::judge::{self, Analysis, CellResult, Comparison, Conclusion, ENOUGH_ROUNDS, Kind, Scene};
use crate::lab::report::text::{counted, holding};
use crate::lab::report::{grouped, names};
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
    let of = |scene: &Scene| Some((scene.primary(), twins(scene, scene.primary())?));
    let all = grouped(analysis.scenes.iter().filter_map(of));
    all.into_iter().map(|(metric, noise)| (metric, noise.into_iter().fold(0.0, f64::max))).collect()
}

/// Of the second runs in a scene, without those that the load generator limited.
fn twins(scene: &Scene, metric: Metric) -> Option<f64> {
    let measured = |c: &&Comparison| {
        let bound = metric.is_of_the_loop() && scene.results[c.cell].client_bound;
        c.conclusion == Conclusion::Twin && c.metric == metric && !bound
    };
    let all = scene.comparisons.iter().filter(measured);
    all.map(|c| c.interval.reach()).reduce(f64::max)
}

fn is_short(scene: &Scene) -> bool {
    let judged = scene.primary().quantile().is_some_and(|quantile| quantile >= 0.99);
    let mut lengths = scene.results.iter().filter_map(|result| result.length);
    !scene.has_fault() && judged && lengths.any(|length| !length.enough())
}

fn columns(spec: &Spec, analysis: &Analysis) -> Vec<Column> {
    let compared = analysis.scenes.iter().flat_map(|scene| {
        let own = scene.comparisons.iter().filter(|c| c.conclusion != Conclusion::Twin);
        own.map(move |c| (scene.group.cells[c.cell].column(), (scene, c)))
    });
    let column = |(name, found): (&str, Vec<(&Scene, &Comparison)>)| {
        let cells = &found[0].0.group.cells;
        let cell = &cells[found[0].1.cell];
        let effects = |primary: bool| {
            let of = found.iter().filter(|(_, c)| c.primary == primary);
            of.map(|(scene, c)| effect(spec, scene, c)).collect()
        };
        Column {
            name: name.to_owned(),
            base: cells[plan::base(cells, cell)].column().to_owned(),
            own: cell.peer.is_none(),
            option: options(cell),
            judged: effects(true),
            described: effects(false),
        }
    };
    grouped(compared).into_iter().map(column).collect()
}

fn options(cell: &Cell) -> Option<String> {
    cell.has_options().then(|| cell.listener[cell.strategy().len()..].trim().to_owned())
}

fn effect(spec: &Spec, scene: &Scene, comparison: &Comparison) -> Effect {
    let metric = comparison.metric;
    let counts = || {
        let late = metric == Metric::DelayedPerFault;
        let of = |result: &CellResult| match late {
            true => result.losses.delayed(),
            false => result.estimate(metric).map(|lost| (lost.median, Some(lost.interval))),
        };
        let cells = &scene.group.cells;
        Some(Counts {
            own: of(&scene.results[comparison.cell])?,
            base: of(&scene.results[plan::base(cells, &cells[comparison.cell])])?,
            event: names::fault(scene.group.levels.fault?).event,
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
    let struck = analysis.scenes.iter().filter(|scene| scene.has_fault()).flat_map(|scene| {
        let words = scene.group.levels.fault.map(names::fault);
        let event = words.as_ref().map_or("fault", |words| words.event);
        let place = words.map(|words| words.when).unwrap_or_default();
        let counted = scene.own().filter(|result| result.counted > 0);
        counted.map(move |result| ((result.cell.column(), place.clone(), event), &result.losses))
    });
    let lost = |((column, place, event), losses): ((&str, String, &'static str), Vec<&Losses>)| {
        let losses = losses.into_iter().sum();
        Lost { column: column.to_owned(), place, event, losses }
    };
    grouped(struck).into_iter().map(lost).collect()
}

fn spread(analysis: &Analysis) -> Vec<Spread> {
    let calm = analysis.scenes.iter().filter(|scene| !scene.has_fault()).flat_map(Scene::own);
    let used = calm.filter(|result| result.used > 0);
    let known = used.filter_map(|result| Some((result.cell.column(), result.spread?)));
    let spread = |(column, all): (&str, Vec<judge::Spread>)| Spread {
        column: column.to_owned(),
        most: all.iter().map(|spread| spread.max_over_mean).fold(0.0, f64::max),
        concentrated: all.iter().any(|spread| spread.kind == Kind::Concentrated),
    };
    grouped(known).into_iter().map(spread).collect()
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
    let varied = |name: &str| factors.listener.iter().any(|own| own.split([':', ' ']).next() == Some(name));
    let others = STRATEGIES.iter().filter(|entry| !varied(entry.name)).count();
    let general = [
        (!does("cgi"), "handlers (CGI)".to_owned()),
        (!does("cgi") && !does("spin"), "work that computes".into()),
        (factors.fault == [None] && data.spec.soak.is_none(), "faults".into()),
        (others > 0 && !factors.listener.is_empty(), counted(others, "other listener")),
        (true, format!("more than {} processors", data.environment.machine.cores)),
        (true, "a network".into()),
    ];
    skipped.unique().chain(empty).chain(holding(general)).collect()
}
