//! What a kind of fault did to connections, under all loads and with all kinds of work together. Pure.

use itertools::Itertools as _;

use super::losses::Losses;
use super::{Analysis, Scene};
use crate::lab::spec::Fault;

/// The scenes of one fault, or of random ones.
#[derive(Debug)]
pub struct Struck<'a> {
    pub fault: Option<Fault>,
    pub scenes: Vec<&'a Scene>,
}

/// In the order of the file.
pub fn struck(analysis: &Analysis) -> Vec<Struck<'_>> {
    let faults = || analysis.scenes.iter().filter(|scene| scene.has_fault());
    let of = |fault| Struck {
        fault,
        scenes: faults().filter(|scene| scene.group.levels.fault == fault).collect(),
    };
    faults().map(|scene| scene.group.levels.fault).unique().map(of).collect()
}

/// Columns with runs, without second runs (A/A).
pub fn names(all: &[Struck]) -> Vec<String> {
    let own = all.iter().flat_map(|struck| &struck.scenes).flat_map(|scene| scene.own());
    own.filter(|result| result.runs > 0).map(|result| result.cell.name()).unique().collect()
}

impl Struck<'_> {
    /// Of a column; its second run (A/A) is not its own. `None` without runs.
    pub fn losses(&self, name: &str) -> Option<Losses> {
        let own = self.scenes.iter().flat_map(|scene| scene.own());
        let own = own.filter(|result| result.cell.column() == name && result.counted > 0);
        own.map(|result| result.losses.clone()).reduce(|all, other| all.plus(&other))
    }
}
