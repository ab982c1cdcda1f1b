//! Published claims against measurements.
//!
//! Pure. A claim concerns the median over rounds of a metric of one cell, or of its ratio to another cell of
//! the same round.

use std::collections::BTreeMap;

use super::rows::{Row, Verdict};
use super::values::value as value_of;
use super::{ENOUGH_ROUNDS, Estimate};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{self, Cell, Group};
use crate::lab::spec::{Band, Expect, Metric};
use crate::measure::stats::Interval;

#[derive(Clone, Debug)]
pub struct Claim {
    pub expect: Expect,
    pub metric: Metric,
    /// Empty if there is only one.
    pub group: String,
    /// `None` if nothing was measured.
    pub ours: Option<Estimate>,
    /// Rounds used.
    pub rounds: usize,
    pub verdict: ClaimVerdict,
    /// Why it is undecided or was not tested; otherwise empty.
    pub why: String,
}

/// From the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimVerdict {
    /// An expectation of our own, and the whole 95 % interval is within its range.
    OwnHolds,
    /// The whole interval is within the range of the published size.
    SameSize,
    /// The whole interval is within the range of the published direction.
    SameDirection,
    /// The interval crosses a limit, or there are too few rounds.
    Undecided,
    /// The published figure cannot be tested here.
    NotTestable,
    /// An expectation of our own, and the whole interval is outside.
    OwnFails,
    /// The whole interval is outside the published direction.
    Contradicted,
}

impl ClaimVerdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnHolds => "own finding: holds",
            Self::SameSize => "same size",
            Self::SameDirection => "same direction",
            Self::Undecided => "undecided",
            Self::NotTestable => "not testable here",
            Self::OwnFails => "own finding: does not hold",
            Self::Contradicted => "contradicted",
        }
    }
}

impl Claim {
    /// `response_stdev_ms of reuseport / inherited, full load, w=12`
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

    pub fn unit(&self) -> &'static str {
        if self.expect.over.is_some() { "times" } else { self.metric.unit() }
    }
}

/// `rounds` is the number of rounds made.
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
        verdict: ClaimVerdict::NotTestable,
        why: String::new(),
    };
    let cells =
        compared_cells(expect, groups).and_then(|cells| match skipped(&data.runs, &cells, &expect.load) {
            Some(why) => Err(why),
            None => Ok(cells),
        });
    match cells {
        Err(why) => claim.why = why,
        Ok(cells) => {
            let values = values(metric, &cells, &expect.load, rows);
            claim.rounds = values.len();
            decide(&mut claim, &values, rounds, rows, &cells);
        }
    }
    Some(claim)
}

/// The cell that the claim is about and, if there is one, that to divide by; or why one cannot do the work.
fn compared_cells<'g>(expect: &Expect, groups: &'g [Group]) -> Result<Vec<&'g Cell>, String> {
    let find = |levels: &BTreeMap<String, String>, name: &str| {
        groups.iter().find(|group| group.levels.has(levels)).and_then(|group| column(group, name))
    };
    let of = find(&expect.pick, &expect.of).ok_or_else(|| format!("{} cannot do this work", expect.of))?;
    let Some(over) = &expect.over else { return Ok(vec![of]) };
    let levels = expect.pick.clone().into_iter().chain(expect.over_where.clone()).collect();
    let base = find(&levels, over).ok_or_else(|| format!("{over} cannot do the work of this group"))?;
    Ok(vec![of, base])
}

/// The first cell of a column.
fn column<'a>(group: &'a Group, name: &str) -> Option<&'a Cell> {
    group.cells.iter().find(|cell| cell.column() == name && !cell.twin)
}

fn skipped(runs: &[RunData], cells: &[&Cell], load: &str) -> Option<String> {
    let about = |run: &&RunData| run.load == load && cells.iter().any(|cell| cell.id == run.cell);
    runs.iter().filter(about).find_map(|run| run.skipped.clone())
}

/// The metric of the first cell per round, divided by that of the second cell, if any.
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

fn fit(row: &Row, metric: Metric) -> bool {
    row.counts && !(metric.is_of_the_loop() && row.verdict == Verdict::ClientBound)
}

fn decide(claim: &mut Claim, values: &[f64], rounds: usize, rows: &[Row], cells: &[&Cell]) {
    let enough = values.len() >= ENOUGH_ROUNDS;
    claim.ours = Estimate::of(values, enough);
    (claim.verdict, claim.why) = match claim.ours {
        _ if rounds < ENOUGH_ROUNDS => {
            (ClaimVerdict::Undecided, format!("too few rounds to judge ({rounds} of {ENOUGH_ROUNDS})"))
        }
        Some(ours) if enough => compared(&claim.expect, ours.interval),
        _ => {
            (ClaimVerdict::NotTestable, spoiled(claim.metric, values.len(), rows, cells, &claim.expect.load))
        }
    };
}

/// The verdict on an interval, and why it is not a better one.
fn compared(expect: &Expect, interval: Interval) -> (ClaimVerdict, String) {
    let is = |band: Option<Band>| band.is_some_and(|band| band.holds(interval));
    let Some(direction) = expect.direction() else { return (ClaimVerdict::Undecided, String::new()) };
    match &expect.not_testable {
        Some(why) => (ClaimVerdict::NotTestable, why.clone()),
        None if expect.own && is(Some(direction)) => (ClaimVerdict::OwnHolds, String::new()),
        None if expect.own && direction.excludes(interval) => (ClaimVerdict::OwnFails, String::new()),
        None if is(expect.size()) => (ClaimVerdict::SameSize, String::new()),
        None if is(Some(direction)) => (ClaimVerdict::SameDirection, String::new()),
        None if direction.excludes(interval) => (ClaimVerdict::Contradicted, String::new()),
        None => (ClaimVerdict::Undecided, format!("the interval crosses a limit of {direction}")),
    }
}

fn spoiled(metric: Metric, left: usize, rows: &[Row], cells: &[&Cell], load: &str) -> String {
    let rows = rows.iter().filter(|row| row.load == load && cells.iter().any(|cell| cell.id == row.cell));
    let unfit: Vec<&Row> = rows.filter(|row| !fit(row, metric)).collect();
    let reason = match unfit.iter().find(|row| !row.verdict.counts()).or(unfit.first()) {
        Some(row) if matches!(row.verdict, Verdict::Ok | Verdict::Noisy) => {
            "other runs of the rounds are void or missing".to_owned()
        }
        Some(row) => format!("{}: {}", row.verdict.name(), row.why()),
        None => format!("{metric} has no value there"),
    };
    format!("only {left} rounds can be used ({reason})")
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
