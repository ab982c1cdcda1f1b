//! Published claims against what was measured here.
//!
//! Pure. A claim is about medians over rounds: of a metric of one cell, or of its ratio to another cell of the same round.

use super::rows::{Row, Verdict};
use super::values::value as value_of;
use super::{ENOUGH_ROUNDS, Estimate};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{self, Cell, Group};
use crate::lab::spec::{Expect, Metric};

/// One expectation, and what came of it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub expect: Expect,
    /// The metric that it is about.
    pub metric: Metric,
    /// What tells the group from the others of the experiment; empty when it is the only one.
    pub group: String,
    /// What was measured; `None` when nothing was.
    pub ours: Option<Estimate>,
    /// Rounds that it rests on.
    pub rounds: usize,
    pub verdict: ClaimVerdict,
    /// Why it is undecided or not on this machine; else empty.
    pub why: String,
}

/// What is said of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimVerdict {
    /// The whole 95 % interval lies within what counts as reproduced.
    Reproduced,
    /// The interval straddles the limit, or there are too few rounds.
    Undecided,
    /// It could not be tried here.
    NotHere,
    /// The whole 95 % interval lies outside.
    NotReproduced,
}

impl ClaimVerdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Undecided => "undecided",
            Self::NotHere => "not on this machine",
            Self::NotReproduced => "not reproduced",
        }
    }
}

impl Claim {
    /// The figure in words: `response_stdev_ms of reuseport / inherited, full load, w=12`.
    pub fn figure(&self) -> String {
        let expect = &self.expect;
        let mut text = format!("{} of {}", self.metric, expect.of);
        if let Some(over) = &expect.over {
            text += &format!(" / {over}");
            let levels: Vec<_> = expect.over_where.iter().map(|(f, level)| format!("{f}={level}")).collect();
            if !levels.is_empty() {
                text += &format!(" ({})", levels.join(" "));
            }
        }
        text += &format!(", {}", expect.load);
        if self.group.is_empty() { text } else { format!("{text}, {}", self.group) }
    }

    /// The unit of the figure: none for a ratio.
    pub fn unit(&self) -> &'static str {
        if self.expect.over.is_some() { "times" } else { self.metric.unit() }
    }
}

/// The verdict on a claim of several expectations: the worst of them.
pub fn together<'a>(claims: impl IntoIterator<Item = &'a Claim>) -> Option<ClaimVerdict> {
    claims.into_iter().map(|claim| claim.verdict).max()
}

/// All claims of an experiment; `rounds` is how many were made.
pub fn evaluate(data: &Data, rows: &[Row], rounds: usize) -> Vec<Claim> {
    let groups = plan::groups(&data.spec);
    data.spec.expect.iter().filter_map(|expect| one(expect, data, rows, rounds, &groups)).collect()
}

fn one(expect: &Expect, data: &Data, rows: &[Row], rounds: usize, groups: &[Group]) -> Option<Claim> {
    let metric = Metric::named(&expect.metric)?;
    let group = groups.iter().find(|group| group.levels.has(&expect.pick));
    let mut claim = Claim {
        expect: expect.clone(),
        metric,
        group: group.map(|group| group.title.clone()).unwrap_or_default(),
        ours: None,
        rounds: 0,
        verdict: ClaimVerdict::NotHere,
        why: String::new(),
    };
    let Some(of) = group.and_then(|group| column(group, &expect.of)) else {
        claim.why = format!("{} cannot do the work of this group", expect.of);
        return Some(claim);
    };
    let over = match &expect.over {
        None => None,
        Some(over) => {
            let mut levels = expect.pick.clone();
            levels.extend(expect.over_where.clone());
            let found =
                groups.iter().find(|group| group.levels.has(&levels)).and_then(|group| column(group, over));
            if found.is_none() {
                claim.why = format!("{over} cannot do the work of this group");
                return Some(claim);
            }
            found
        }
    };
    let cells: Vec<&Cell> = [Some(of), over].into_iter().flatten().collect();
    if let Some(why) = skipped(&data.runs, &cells, &expect.load) {
        claim.why = why;
        return Some(claim);
    }
    let values = values(metric, &cells, &expect.load, rows);
    claim.rounds = values.len();
    decide(&mut claim, &values, rounds, rows, &cells);
    Some(claim)
}

/// The cell of a column; of the baseline the first one.
fn column<'a>(group: &'a Group, name: &str) -> Option<&'a Cell> {
    group.cells.iter().find(|cell| cell.column() == name && !cell.twin)
}

/// Why the runs of one of the cells were not made.
fn skipped(runs: &[RunData], cells: &[&Cell], load: &str) -> Option<String> {
    let about = |run: &&RunData| run.load == load && cells.iter().any(|cell| cell.id == run.cell);
    runs.iter().filter(about).find_map(|run| run.skipped.clone())
}

/// The metric of the first cell in each round, divided by that of the second one if there is one.
fn values(metric: Metric, cells: &[&Cell], load: &str, rows: &[Row]) -> Vec<f64> {
    let of = |cell: &Cell, round: u32| {
        let about = |row: &&Row| row.cell == cell.id && row.load == load && row.round == round;
        let row = rows.iter().filter(about).find(|row| fit(row, metric))?;
        value_of(metric, row).filter(|value| value.is_finite())
    };
    let rounds = rows.iter().map(|row| row.round).max().unwrap_or(0);
    let value = |round: u32| match cells {
        [one] => of(one, round),
        [one, other, ..] => Some(of(one, round)? / of(other, round).filter(|value| *value != 0.0)?),
        [] => None,
    };
    (1..=rounds).filter_map(value).collect()
}

/// Whether a run may speak on a metric.
fn fit(row: &Row, metric: Metric) -> bool {
    row.verdict.counts() && !(metric.is_throughput() && row.verdict == Verdict::ClientBound)
}

fn decide(claim: &mut Claim, values: &[f64], rounds: usize, rows: &[Row], cells: &[&Cell]) {
    let enough = values.len() >= ENOUGH_ROUNDS;
    claim.ours = Estimate::of(values, enough);
    let band = claim.expect.reproduced;
    (claim.verdict, claim.why) = match claim.ours {
        _ if rounds < ENOUGH_ROUNDS => {
            (ClaimVerdict::Undecided, format!("too few rounds to judge ({rounds} of {ENOUGH_ROUNDS})"))
        }
        Some(ours) if enough && band.holds(ours.interval) => (ClaimVerdict::Reproduced, String::new()),
        Some(ours) if enough && band.excludes(ours.interval) => (ClaimVerdict::NotReproduced, String::new()),
        Some(_) if enough => (ClaimVerdict::Undecided, format!("the interval is not on one side of {band}")),
        _ => (ClaimVerdict::NotHere, spoiled(claim.metric, values.len(), rows, cells, &claim.expect.load)),
    };
}

/// Why so few rounds count.
fn spoiled(metric: Metric, left: usize, rows: &[Row], cells: &[&Cell], load: &str) -> String {
    let mut rows = rows.iter().filter(|row| row.load == load && cells.iter().any(|cell| cell.id == row.cell));
    let reason = match rows.find(|row| !fit(row, metric)) {
        Some(row) => format!("{}: {}", row.verdict.name(), row.reasons),
        None => format!("{metric} has no value there"),
    };
    format!("only {left} rounds can be used ({reason})")
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
