//! Which rounds count. A round counts whole or not at all: leaving out single void runs would leave out bad outcomes,
//! since client and server suffer together. Void rounds are repeated, at most half as many as are planned.

use std::collections::{BTreeMap, BTreeSet};

use super::ENOUGH_ROUNDS;
use super::rows::{Row, Verdict};
use crate::lab::spec::Spec;
use crate::lab::spec::blocks::Block;
use crate::lab::spec::plan::Cell;

/// The rounds of a block: a load and the cells that are compared under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// The last one that was begun.
    pub made: u32,
    /// Those in which every judged cell has a run that counts.
    pub complete: BTreeSet<u32>,
    /// Cells that are judged: those that were not skipped and have few void runs.
    pub judged: usize,
    /// Cells with too many void runs, and why they are not judged.
    pub not_judged: BTreeMap<String, String>,
}

impl Rounds {
    /// From the runs of a block. Cells that were skipped are in no round.
    pub fn of(rows: &[&Row], spec: &Spec) -> Self {
        let mut cells: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows.iter().copied().filter(|row| row.verdict != Verdict::Skipped) {
            cells.entry(&row.cell).or_default().push(row);
        }
        let made = rows.iter().map(|row| row.round).max().unwrap_or(0);
        let mut rounds = Self { made, ..Self::default() };
        let most = spec.extra_rounds() as usize;
        let hopeless: Vec<&str> =
            cells.iter().filter(|(_, runs)| voids(runs).count() > most).map(|(cell, _)| *cell).collect();
        hopeless.into_iter().for_each(|cell| rounds.leave_out(&mut cells, cell));
        rounds.complete = complete(&cells, made);
        let wanted = (spec.rounds as usize).min(ENOUGH_ROUNDS);
        while made >= spec.rounds + spec.extra_rounds() && rounds.complete.len() < wanted {
            let worst = cells.iter().max_by_key(|(_, runs)| voids(runs).count());
            let worst = worst.filter(|(_, runs)| voids(runs).next().is_some()).map(|(cell, _)| *cell);
            let Some(cell) = worst else { break };
            rounds.leave_out(&mut cells, cell);
            rounds.complete = complete(&cells, made);
        }
        rounds.judged = cells.len();
        rounds
    }

    fn leave_out(&mut self, cells: &mut BTreeMap<&str, Vec<&Row>>, cell: &str) {
        let Some(runs) = cells.remove(cell) else { return };
        let reason = voids(&runs).next().map_or_else(String::new, Row::why);
        let why = format!("{} of {} runs are void; the first: {reason}", voids(&runs).count(), runs.len());
        self.not_judged.insert(cell.to_owned(), why);
    }

    /// Whether another round is to be made.
    pub fn lacking(&self, spec: &Spec) -> bool {
        self.judged > 0
            && (self.complete.len() as u32) < spec.rounds
            && self.made < spec.rounds + spec.extra_rounds()
    }

    fn counts(&self, row: &Row) -> bool {
        row.verdict.counts() && self.complete.contains(&row.round) && !self.not_judged.contains_key(&row.cell)
    }
}

fn voids<'r>(runs: &'r [&'r Row]) -> impl Iterator<Item = &'r Row> {
    runs.iter().copied().filter(|row| row.verdict == Verdict::Invalid)
}

fn complete(cells: &BTreeMap<&str, Vec<&Row>>, made: u32) -> BTreeSet<u32> {
    let whole = |round: &u32| {
        let has = |runs: &Vec<&Row>| runs.iter().any(|row| row.round == *round && row.verdict.counts());
        !cells.is_empty() && cells.values().all(has)
    };
    (1..=made).filter(whole).collect()
}

/// The rounds of every block; marks the runs that count.
pub fn mark(rows: &mut [Row], blocks: &[Block], cells: &[Cell], spec: &Spec) -> Vec<Rounds> {
    let mut all = Vec::new();
    for block in blocks {
        let load = &spec.load[block.load].name;
        let within =
            |row: &Row| row.load == *load && block.cells.iter().any(|cell| cells[*cell].id == row.cell);
        let rounds = Rounds::of(&rows.iter().filter(|row| within(row)).collect::<Vec<_>>(), spec);
        rows.iter_mut().filter(|row| within(row)).for_each(|row| row.counts = rounds.counts(row));
        all.push(rounds);
    }
    all
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
