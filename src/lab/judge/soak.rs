//! The verdict on a soak.

use super::endurance::Trend;
use super::{Analysis, CellResult};

/// Cells that failed: a measure grew, or a connection was reset or lost that no killed worker held.
pub fn failed(analysis: &Analysis) -> Vec<&str> {
    let results = analysis.scenes.iter().flat_map(|scene| &scene.results);
    let fails = |result: &&CellResult| result.losses.failed() > 0 || result.endurance.iter().any(Trend::grew);
    results.filter(fails).map(|result| result.cell.id.as_str()).collect()
}
