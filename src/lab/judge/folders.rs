//! Two results folders, cell by cell and load by load.
//!
//! Runs of two folders were not interleaved, so they are not paired: medians are compared, by a bootstrap
//! over the runs of each side. A difference counts if its interval excludes 0 and it exceeds the differences
//! of both baselines from themselves.

use super::environment_diff::Difference;
use super::rows::{Row, Verdict};
use super::values::value as value_of;
use super::{Analysis, Conclusion, ENOUGH_ROUNDS, Scene, judge};
use crate::lab::results::store::Data;
use crate::lab::spec::{Metric, Spec};
use crate::measure::stats::{self, Interval, RESAMPLES};

#[derive(Debug)]
pub struct FolderComparison {
    /// Differences between the environments.
    pub circumstances: Vec<Difference>,
    /// One per cell, load and metric that both have.
    pub differences: Vec<FolderDifference>,
    /// Cells and loads in one folder only.
    pub unmatched: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct FolderDifference {
    pub cell: String,
    pub load: String,
    pub metric: Metric,
    /// In the first and in the second folder.
    pub medians: [f64; 2],
    /// Runs that count in the first and in the second folder.
    pub runs: [usize; 2],
    /// In percent.
    pub change: f64,
    /// 95 % bootstrap interval of the change.
    pub interval: Interval,
    /// Largest difference of the baselines from themselves, in percent.
    pub floor: f64,
    pub conclusion: Conclusion,
}

/// Different settings that affect the results.
pub fn settings(first: &Spec, second: &Spec) -> Vec<Difference> {
    let list = |spec: &Spec| {
        let none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        let mut list = vec![
            ("warmup_s".to_owned(), spec.warmup_s.to_string()),
            ("duration_s".to_owned(), spec.duration_s.to_string()),
            ("server_prefix".to_owned(), none(&spec.server_prefix)),
            ("client_prefix".to_owned(), none(&spec.client_prefix)),
        ];
        list.extend(spec.load.iter().map(|load| (format!("load `{}`", load.name), format!("{load:?}"))));
        list
    };
    let theirs = list(second);
    let differing = |(what, first): (String, String)| {
        let (_, second) = theirs.iter().find(|(other, _)| *other == what)?;
        (*second != first).then(|| Difference { what, first, second: second.clone(), program: false })
    };
    list(first).into_iter().filter_map(differing).collect()
}

pub fn side_by_side(first: &Data, second: &Data, circumstances: Vec<Difference>) -> FolderComparison {
    let (one, other) = (judge(first), judge(second));
    let (mut differences, mut unmatched) = (Vec::new(), Vec::new());
    for scene in &one.scenes {
        for result in &scene.results {
            let theirs = find(&other, &result.cell.id, &scene.load.name);
            match theirs {
                Some(theirs) => {
                    let place = (result.cell.id.as_str(), scene.load.name.as_str());
                    let seed = first.spec.seed;
                    let all = Metric::COMPARED.iter().filter_map(|&metric| {
                        difference(place, metric, [&one, &other], [scene, theirs], seed)
                    });
                    differences.extend(all);
                }
                None => unmatched.push(format!("{} / {} (first only)", result.cell.id, scene.load.name)),
            }
        }
    }
    for scene in &other.scenes {
        let alone = scene.results.iter().filter(|r| find(&one, &r.cell.id, &scene.load.name).is_none());
        unmatched.extend(alone.map(|r| format!("{} / {} (second only)", r.cell.id, scene.load.name)));
    }
    FolderComparison { circumstances, differences, unmatched }
}

fn find<'a>(analysis: &'a Analysis, cell: &str, load: &str) -> Option<&'a Scene> {
    let fits = |scene: &&Scene| scene.load.name == load && scene.results.iter().any(|r| r.cell.id == cell);
    analysis.scenes.iter().find(fits)
}

fn difference(
    (cell, load): (&str, &str),
    metric: Metric,
    analyses: [&Analysis; 2],
    scenes: [&Scene; 2],
    seed: u64,
) -> Option<FolderDifference> {
    let rows = analyses.map(|analysis| -> Vec<&Row> {
        let fits = |row: &&Row| row.cell == cell && row.load == load && row.verdict.counts();
        analysis.rows.iter().filter(fits).collect()
    });
    let floor = scenes.iter().map(|scene| floor(scene, metric)).fold(0.0, f64::max);
    let values = [0, 1].map(|side: usize| -> Vec<f64> {
        rows[side].iter().filter_map(|row| value_of(metric, row)).filter(|value| *value > 0.0).collect()
    });
    let interval = stats::bootstrap_ratio(&values[1], &values[0], RESAMPLES, seed)?;
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let interval = Interval { low: percent(interval.low), high: percent(interval.high) };
    let medians = [stats::median(&values[0])?, stats::median(&values[1])?];
    let change = percent(medians[1] / medians[0]);
    let bound =
        metric.is_throughput() && rows.iter().flatten().any(|row| row.verdict == Verdict::ClientBound);
    let runs = [values[0].len(), values[1].len()];
    let conclusion = match runs {
        _ if bound => Conclusion::ClientBound,
        [first, second] if first.min(second) < ENOUGH_ROUNDS => Conclusion::TooFew,
        _ if !interval.contains(0.0) && change.abs() > floor => Conclusion::Differs,
        _ => Conclusion::Same,
    };
    let (cell, load) = (cell.to_owned(), load.to_owned());
    Some(FolderDifference { cell, load, metric, medians, runs, change, interval, floor, conclusion })
}

fn floor(scene: &Scene, metric: Metric) -> f64 {
    let twin = scene.comparisons.iter().find(|c| c.metric == metric && c.conclusion == Conclusion::Floor);
    twin.map_or(0.0, |twin| twin.floor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;

    #[test]
    fn the_same_data_twice_do_not_differ() {
        let data = fixture::quick(10);
        let comparison = side_by_side(&data, &data, Vec::new());
        assert!(
            comparison
                .differences
                .iter()
                .all(|line| line.conclusion == Conclusion::Same && line.change == 0.0)
        );
        assert_eq!(comparison.differences.len(), 4 * 2 * 6);
    }

    #[test]
    fn a_slower_second_folder_is_found_and_what_has_no_partner_is_named() {
        let (first, mut second) = (fixture::quick(10), fixture::quick(10));
        for run in &mut second.runs {
            run.record.as_mut().unwrap().rate *= 0.8;
        }
        second.spec.load[1].name = "other".into();
        let comparison = side_by_side(&first, &second, Vec::new());
        let rate = comparison.differences.iter().find(|line| line.metric == Metric::Rate).unwrap();
        assert!(rate.conclusion == Conclusion::Differs && (rate.change + 20.0).abs() < 0.01, "{rate:?}");
        assert!(comparison.unmatched.contains(&"inherited / half load (first only)".to_owned()));
        assert!(comparison.unmatched.contains(&"inherited / other (second only)".to_owned()));
        let few = side_by_side(&fixture::quick(4), &second, Vec::new());
        assert!(few.differences.iter().all(|line| line.conclusion == Conclusion::TooFew));
    }

    #[test]
    fn other_settings_are_a_difference_and_other_rounds_are_none() {
        let first = fixture::quick(4).spec;
        let mut second = fixture::quick(9).spec;
        assert_eq!(settings(&first, &second), []);
        second.duration_s = 5.0;
        second.load[0].closed = Some(99);
        let names: Vec<_> = settings(&first, &second).into_iter().map(|d| d.what).collect();
        assert_eq!(names, ["duration_s", "load `full load`"]);
    }
}
