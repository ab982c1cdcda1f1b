//! From the rows of an experiment to conclusions.
//!
//! Pure: the same data and seed give the same analysis. The unit is the run, never the request; cells are
//! compared within a round.

mod balance;
mod calm;
pub mod capacity;
pub mod claims;
mod compare;
pub mod curves;
pub mod endurance;
pub mod environment_diff;
mod estimate;
pub mod folders;
pub mod jobs;
pub mod length;
pub mod losses;
mod pooled;
pub mod rounds;
pub mod rows;
mod scale;
pub mod soak;
mod spread;
pub mod struck;
#[cfg(test)]
mod tests;
pub mod timeline;
mod values;
pub mod verdict;
pub mod verify;
pub mod voids;

use std::collections::BTreeMap;

pub use self::compare::{ALPHA, Comparison, Conclusion};
use self::compare::{compare, correct, metrics};
pub use self::estimate::{ENOUGH_ROUNDS, Estimate};
pub use self::scale::Scale;
pub use self::spread::{Kind, Spread};
use self::spread::{shares, spread};
use self::values::value;
use crate::lab::spec::Metric;
use rayon::prelude::*;

use self::calm::CalmRuns;
use self::claims::Claim;
use self::curves::PercentilePoint;
use self::endurance::{Trend, trends};
use self::length::Length;
use self::losses::Losses;
use self::pooled::Pool;
use self::rounds::Rounds;
use self::rows::{Row, Verdict, row};
use self::voids::{Sensitivity, Voids};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{self, Cell, Group};
use crate::lab::spec::{Load, Spec, blocks};

#[derive(Debug)]
pub struct Analysis {
    /// All runs but the trial, in order.
    pub rows: Vec<Row>,
    /// Complete ones, of the block that has most.
    pub rounds: usize,
    /// Those that repeat others, over all blocks.
    pub repeated: usize,
    pub voids: Voids,
    /// Whether there are enough rounds to judge.
    pub enough: bool,
    /// One per group and load.
    pub scenes: Vec<Scene>,
    /// In the order of the file.
    pub claims: Vec<Claim>,
}

/// Cells to compare: the same levels and load.
#[derive(Debug)]
pub struct Scene {
    pub group: Group,
    pub load: Load,
    /// Of an open loop.
    pub offered_per_s: Option<f64>,
    pub random_faults: bool,
    /// The metrics that are judged, the primary one first.
    pub judged: Vec<Metric>,
    /// In the order of the cells of the group.
    pub results: Vec<CellResult>,
    /// Of each cell but the first with its base, metric by metric.
    pub comparisons: Vec<Comparison>,
    /// What void runs could change; empty without void runs.
    pub sensitivity: Vec<Sensitivity>,
}

#[derive(Debug)]
pub struct CellResult {
    pub cell: Cell,
    /// Without skipped ones.
    pub runs: usize,
    pub used: usize,
    /// Why it has no results, if too many of its runs are void.
    pub not_judged: Option<String>,
    /// Of an open loop with runs that count.
    pub length: Option<Length>,
    /// Whether the load generator was the limit in a run that counts.
    pub client_bound: bool,
    /// Without metrics that no run has.
    pub estimates: BTreeMap<Metric, Estimate>,
    /// Runs with a record, whether they count or not.
    pub counted: usize,
    /// Of the runs with a record.
    pub losses: Losses,
    /// Of the first run with a record; empty if the processes of the server were not watched.
    pub endurance: Vec<Trend>,
    pub spread: Option<Spread>,
    /// Of the workers in each run that counts, largest first.
    pub shares: Vec<Vec<f64>>,
    /// Workers that accepted the connections before the load, in the first run that counts.
    pub sequence: Vec<String>,
    pub curve: Vec<PercentilePoint>,
}

pub fn judge(data: &Data) -> Analysis {
    let cells = plan::cells(&data.spec);
    let groups = plan::groups(&data.spec);
    let known = |run: &&RunData| run.round > 0 && cells.iter().any(|cell| cell.id == run.cell);
    let runs: Vec<&RunData> = data.runs.iter().filter(known).collect();
    let calm = CalmRuns::of(&groups, &runs);
    let mut rows: Vec<Row> = runs
        .par_iter()
        .filter_map(|run| {
            let cell = cells.iter().find(|cell| cell.id == run.cell)?;
            Some(row(run, cell, &data.spec.rules, calm.beside(run)))
        })
        .collect();
    let blocks = blocks::all(&data.spec);
    let of_blocks = rounds::mark(&mut rows, &blocks, &cells, &data.spec);
    let rounds = of_blocks.iter().map(|rounds| rounds.complete.len()).max().unwrap_or(0);
    let repeated = of_blocks.iter().map(|rounds| rounds.made.saturating_sub(data.spec.rounds) as usize).sum();
    let enough = rounds >= ENOUGH_ROUNDS;
    let paired: Vec<(&RunData, &Row)> = runs.iter().copied().zip(&rows).collect();
    let places: Vec<(&Group, &Load)> =
        groups.iter().flat_map(|group| data.spec.load.iter().map(move |load| (group, load))).collect();
    let one = |(group, load): &(&Group, &Load)| scene(group, load, &paired, enough, &data.spec);
    let mut scenes: Vec<Scene> = places.par_iter().map(one).collect();
    for (block, rounds) in blocks.iter().zip(&of_blocks) {
        explain(&mut scenes, &data.spec.load[block.load], rounds);
    }
    correct(scenes.iter_mut().flat_map(|scene| &mut scene.comparisons));
    let claims = claims::evaluate(data, &rows, rounds);
    let voids = Voids::of(&rows);
    Analysis { rounds, repeated, voids, enough, scenes, rows, claims }
}

/// Why cells of a block are not judged.
fn explain(scenes: &mut [Scene], load: &Load, rounds: &Rounds) {
    let results = scenes.iter_mut().filter(|scene| scene.load == *load).flat_map(|scene| &mut scene.results);
    for result in results {
        if let Some(why) = rounds.not_judged.get(&result.cell.id) {
            result.not_judged = Some(why.clone());
        }
    }
}

impl Scene {
    /// What decides first.
    pub fn primary(&self) -> Metric {
        self.judged[0]
    }

    /// Whether something is done to the server while the load runs, at set times or at random.
    pub fn has_fault(&self) -> bool {
        self.group.levels.fault.is_some() || self.random_faults
    }

    /// The results without second runs (A/A).
    pub fn own(&self) -> impl Iterator<Item = &CellResult> {
        self.results.iter().filter(|result| !result.cell.twin)
    }

    /// The metrics of its tables.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        compare::shown(&self.judged)
    }

    /// The comparison of a cell in a metric.
    pub fn comparison(&self, cell: usize, metric: Metric) -> Option<&Comparison> {
        self.comparisons.iter().find(|c| c.cell == cell && c.metric == metric)
    }
}

impl CellResult {
    pub fn estimate(&self, metric: Metric) -> Option<Estimate> {
        self.estimates.get(&metric).copied()
    }
}

type Paired<'a> = (&'a RunData, &'a Row);

fn scene(group: &Group, load: &Load, all: &[Paired], enough: bool, spec: &Spec) -> Scene {
    let of_cell = |cell: &Cell| -> Vec<Paired> {
        all.iter().filter(|(_, row)| row.cell == cell.id && row.load == load.name).copied().collect()
    };
    let made: Vec<Vec<Paired>> = group.cells.iter().map(of_cell).collect();
    let used: Vec<Vec<Paired>> =
        made.iter().map(|runs| runs.iter().filter(|(_, row)| row.counts).copied().collect()).collect();
    let reach = curves::reach(used.iter().flatten().map(|(_, row)| row.completed));
    let results: Vec<CellResult> = group
        .cells
        .iter()
        .zip(made.iter().zip(&used))
        .map(|(cell, (made, used))| cell_result(cell, load, [made, used], reach, enough, spec))
        .collect();
    let offered_per_s = used.iter().flatten().find_map(|(_, row)| row.offered_per_s);
    let fault = group.levels.fault;
    // Records of an earlier layout do not tell what a fault did: they are judged as they were.
    let superseded = |row: &Row| row.losses.as_ref().is_some_and(|losses| losses.superseded);
    let told = fault.filter(|_| !made.iter().flatten().any(|(_, row)| superseded(row)));
    let judged = spec.judged(load, told);
    let metrics = metrics(load, &judged);
    let comparisons = compare(&results, &used, metrics, spec);
    let random_faults = fault.is_none() && made.iter().flatten().any(|(run, _)| !run.faults.is_empty());
    let sensitivity = voids::sensitivity(&results, &made, judged[0]);
    Scene {
        group: group.clone(),
        load: load.clone(),
        offered_per_s,
        random_faults,
        judged,
        results,
        comparisons,
        sensitivity,
    }
}

/// Short names of workers: their numbers, or the order of their first connections.
fn sequence(used: &[Paired]) -> Vec<String> {
    const SHORT: usize = 2;
    let names = used.iter().find_map(|(run, _)| run.sequence.as_ref()).map(|sequence| &sequence.workers);
    let Some(names) = names else { return Vec::new() };
    let short = |name: &String| {
        let place = names.iter().position(|other| other == name).unwrap_or(0);
        let before = names[..place].iter().collect::<std::collections::BTreeSet<_>>().len();
        if name.len() <= SHORT { name.clone() } else { before.to_string() }
    };
    names.iter().map(short).collect()
}

fn cell_result(
    cell: &Cell,
    load: &Load,
    [made, used]: [&[Paired]; 2],
    reach: f64,
    enough: bool,
    spec: &Spec,
) -> CellResult {
    let pool = Pool::of(used.iter().filter_map(|(run, _)| run.record.as_ref()));
    let estimate = |metric: &Metric| {
        let pooled = pool.as_ref().zip(metric.quantile());
        if let Some((pool, quantile)) = pooled {
            return Some((*metric, pool.estimate(quantile, enough)));
        }
        let values: Vec<f64> = used.iter().filter_map(|(_, row)| value(*metric, row)).collect();
        Some((*metric, Estimate::of(&values, enough)?))
    };
    let counts: Vec<Vec<u64>> = used.iter().map(|(run, _)| rows::counts(run, cell)).collect();
    let limits = spec.soak.as_ref().map(|soak| soak.limits).unwrap_or_default();
    let losses = made.iter().filter_map(|(_, row)| row.losses.as_ref());
    let recorded: Vec<&Paired> = made.iter().filter(|(run, _)| run.record.is_some()).collect();
    CellResult {
        cell: cell.clone(),
        runs: made.iter().filter(|(_, row)| row.verdict != Verdict::Skipped).count(),
        used: used.len(),
        not_judged: None,
        length: Length::of(load, used.iter().map(|(_, row)| *row)),
        client_bound: used.iter().any(|(_, row)| row.verdict == Verdict::ClientBound),
        estimates: Metric::ALL.iter().filter_map(estimate).collect(),
        counted: recorded.len(),
        losses: losses.sum(),
        endurance: recorded.first().map(|(run, _)| trends(run, limits)).unwrap_or_default(),
        spread: spread(&counts),
        shares: counts.iter().filter_map(|counts| shares(counts)).collect(),
        sequence: sequence(used),
        curve: pool.as_ref().map(|pool| curves::curve(pool, reach, enough)).unwrap_or_default(),
    }
}
