//! The runs without a fault with which those with one are compared: the same column, load and round. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::losses::Calm;
use crate::lab::results::data::RunData;
use crate::lab::spec::Levels;
use crate::lab::spec::plan::Group;

#[derive(Debug, Default)]
pub struct CalmRuns {
    /// The cell without the fault, by the cell with it.
    cells: BTreeMap<String, String>,
    /// By cell, load and round.
    runs: BTreeMap<(String, String, u32), Calm>,
}

impl CalmRuns {
    pub fn of(groups: &[Group], runs: &[&RunData]) -> Self {
        let mut cells = BTreeMap::new();
        for group in groups.iter().filter(|group| group.levels.fault.is_some()) {
            let levels = Levels { fault: None, ..group.levels.clone() };
            let calm: Vec<_> = groups.iter().filter(|other| other.levels == levels).collect();
            for cell in &group.cells {
                let same =
                    calm.iter().flat_map(|group| &group.cells).find(|other| other.name() == cell.name());
                cells.extend(same.map(|same| (cell.id.clone(), same.id.clone())));
            }
        }
        let needed: BTreeSet<&String> = cells.values().collect();
        let known = runs
            .iter()
            .filter(|run| needed.contains(&run.cell))
            .filter_map(|run| Some(((run.cell.clone(), run.load.clone(), run.round), Calm::of(run)?)));
        let runs = known.collect();
        Self { cells, runs }
    }

    /// What the same is like without the fault.
    pub fn beside(&self, run: &RunData) -> Option<Calm> {
        let cell = self.cells.get(&run.cell)?;
        self.runs.get(&(cell.clone(), run.load.clone(), run.round)).copied()
    }
}
