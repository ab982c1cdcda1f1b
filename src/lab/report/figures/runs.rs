//! The runs that count, and time series over several of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

pub use crate::lab::judge::timeline::Track;
use crate::lab::judge::{Analysis, ENOUGH_ROUNDS, Scene};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::Cell;
use crate::measure::stats::{self, Interval};

/// By cell and load.
#[derive(Debug)]
pub struct Runs<'a>(BTreeMap<(&'a str, &'a str), Vec<&'a RunData>>);

impl<'a> Runs<'a> {
    pub fn of(data: &'a Data, analysis: &Analysis) -> Self {
        let counts: BTreeSet<(u32, u32)> =
            analysis.rows.iter().filter(|row| row.counts).map(|row| (row.round, row.order)).collect();
        let mut runs: BTreeMap<_, Vec<&RunData>> = BTreeMap::new();
        for run in data.runs.iter().filter(|run| counts.contains(&(run.round, run.order))) {
            runs.entry((run.cell.as_str(), run.load.as_str())).or_default().push(run);
        }
        Self(runs)
    }

    pub fn get<'b>(&'b self, cell: &'b Cell, scene: &'b Scene) -> &'b [&'b RunData] {
        self.0.get(&(cell.id.as_str(), scene.load.name.as_str())).map_or(&[], Vec::as_slice)
    }
}

/// Tracks of several runs as one: the median and the [`band`] per `step_s`, drawn in the middle of the step.
/// Steps that fewer than half of the runs have are left out.
pub fn together(tracks: &[Track], step_s: f64) -> Vec<(f64, [f64; 3])> {
    if step_s <= 0.0 {
        return Vec::new();
    }
    let mut steps: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at_s, value) in tracks.iter().flatten() {
        steps.entry((at_s / step_s).floor() as i64).or_default().push(*value);
    }
    let runs = tracks.iter().filter(|track| !track.is_empty()).count();
    steps.retain(|_, values| values.len() * 2 >= runs);
    let point = |(step, values): (i64, Vec<f64>)| {
        let band = band(&values)?;
        Some(((step as f64 + 0.5) * step_s, [stats::median(&values)?, band.low, band.high]))
    };
    steps.into_iter().filter_map(point).collect()
}

/// From the lowest run to the highest; the middle half of many runs.
fn band(values: &[f64]) -> Option<Interval> {
    if values.len() < ENOUGH_ROUNDS {
        return Interval::range(values);
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    Some(Interval { low: at(0.25), high: at(0.75) })
}

/// The meaning of [`band`].
pub fn band_text(scene: &Scene) -> &'static str {
    if scene.results.iter().any(|result| result.used >= ENOUGH_ROUNDS) {
        "the middle half of the runs"
    } else {
        "from the lowest run to the highest"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_come_together_step_by_step() {
        let tracks = [
            vec![(-0.2, 9.0), (0.1, 1.0), (0.3, 2.0), (0.6, 3.0)],
            vec![(0.12, 3.0), (0.35, 4.0)],
            vec![(0.2, 5.0), (0.4, 6.0)],
            Vec::new(),
        ];
        let whole = together(&tracks, 0.25);
        assert_eq!(whole, [(0.125, [3.0, 1.0, 5.0]), (0.375, [4.0, 2.0, 6.0])]);
        assert!(together(&tracks, 0.0).is_empty());
    }

    #[test]
    fn with_many_runs_the_band_is_their_middle_half() {
        let many: Vec<f64> = (0..21).map(f64::from).collect();
        assert_eq!(band(&many), Some(Interval { low: 5.0, high: 15.0 }));
        assert_eq!(band(&[]), None);
    }
}
