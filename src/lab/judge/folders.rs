//! Two results folders, cell by cell and load by load.
//!
//! Runs of two folders were not interleaved, so they are not paired: the test is the exact rank sum test over the runs of
//! each side, with Holm's correction for all judged metrics. It knows only the variance within a folder. What two sessions
//! differ by is shown by cells whose programs are the same in both folders.

use super::environment_diff::Difference;
use super::rows::{Row, Verdict};
use super::values::value as value_of;
use super::{ALPHA, Analysis, ENOUGH_ROUNDS, Scale, Scene, compare, judge};
use crate::lab::results::data::Environment;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{Metric, Spec};
use crate::measure::stats::{self, Interval};

/// Offered rates further apart, as a share, are other loads.
const SAME_LOAD: f64 = 0.02;

#[derive(Debug)]
pub struct FolderComparison {
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
    /// Hodges-Lehmann estimate, in percent or, of what is counted for each fault, a difference.
    pub change: f64,
    pub interval: Interval,
    /// Of the exact rank sum test; after Holm's correction where the conclusion is one of the test.
    pub p: f64,
    /// The least effect of interest, as a change.
    pub least_effect: f64,
    /// Whether the measured programs are the same in both folders: the change is one between sessions.
    pub same_programs: bool,
    pub conclusion: FolderConclusion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderConclusion {
    /// Not a metric that is judged, or a second run (A/A).
    Described,
    TooFew,
    ClientBound,
    OtherLoad,
    /// p is below 0.05 after correction.
    Differs,
    /// It is not `Differs`, and the interval is within the least effect of interest.
    Equivalent,
    Open,
}

impl FolderConclusion {
    pub fn name(self) -> &'static str {
        match self {
            Self::Described => "described, not judged",
            Self::TooFew => "too few runs to judge",
            Self::ClientBound => "client-bound: not judged",
            Self::OtherLoad => "offered loads differ: not judged",
            Self::Differs => "differs",
            Self::Equivalent => "equivalent",
            Self::Open => "not told apart",
        }
    }

    pub fn is_judged(self) -> bool {
        matches!(self, Self::Differs | Self::Equivalent | Self::Open)
    }
}

impl FolderComparison {
    /// The findings, the most important sentence first.
    pub fn summary(&self) -> Vec<String> {
        let count = |conclusion| self.differences.iter().filter(|d| d.conclusion == conclusion).count();
        let differ = count(FolderConclusion::Differs);
        let equivalent = count(FolderConclusion::Equivalent);
        let judged = differ + equivalent + count(FolderConclusion::Open);
        let few = count(FolderConclusion::TooFew);
        let mut summary = vec![match differ {
            _ if judged == 0 && few > 0 => format!(
                "Too few runs to judge ({ENOUGH_ROUNDS} are needed on either side): all values are estimates."
            ),
            0 => format!("No difference was found, of {judged} judged."),
            1 => format!("One difference was found, of {judged} judged."),
            some => format!("{some} differences were found, of {judged} judged."),
        }];
        if equivalent > 0 {
            summary.push(format!(
                "Equivalent: {equivalent} of {judged}; the whole interval is within the least effect of interest."
            ));
        }
        let other = count(FolderConclusion::OtherLoad);
        if other > 0 {
            summary.push(format!(
                "{other} comparisons are not judged because the offered loads differ by more than {:.0} %.",
                SAME_LOAD * 100.0
            ));
        }
        summary.push(self.between_sessions());
        summary
    }

    /// What two sessions differ by without a change of the programs.
    fn between_sessions(&self) -> String {
        const BEGIN: &str = "The runs of the two folders are not interleaved: every value includes whatever else changed between them.";
        let measures =
            |d: &&FolderDifference| d.conclusion.is_judged() || d.conclusion == FolderConclusion::TooFew;
        let ratio = |d: &&FolderDifference| Scale::of(d.metric) == Scale::Ratio;
        let same = self.differences.iter().filter(|d| d.same_programs).filter(measures).filter(ratio);
        let mut changes: Vec<f64> = same.map(|d| d.change.abs()).collect();
        changes.sort_by(f64::total_cmp);
        match (stats::median(&changes), changes.last()) {
            (Some(middle), Some(most)) => format!(
                "{BEGIN} {} comparisons of the same programs show what sessions alone do: {middle:.1} % (median), {most:.1} % at most; smaller differences may be theirs.",
                changes.len()
            ),
            _ => format!(
                "{BEGIN} No program is the same in both, so the variance between sessions is unknown: measure one build in two sessions."
            ),
        }
    }
}

/// Different settings that affect the results.
pub fn settings(first: &Spec, second: &Spec) -> Vec<Difference> {
    let list = |spec: &Spec| {
        let none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
        let mut list = vec![
            ("warmup_s".to_owned(), spec.warmup_s.to_string()),
            ("duration_s".to_owned(), spec.duration_s.to_string()),
            ("cpus".to_owned(), format!("{:?}", spec.cpus)),
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
    let environments = [&first.environment, &second.environment];
    let (mut differences, mut unmatched) = (Vec::new(), Vec::new());
    for scene in &one.scenes {
        for result in &scene.results {
            let cell = &result.cell;
            match find(&other, &cell.id, &scene.load.name) {
                Some(theirs) => {
                    let same_programs = same_programs(cell, environments);
                    let metrics = compare::metrics(&scene.load, &scene.judged);
                    let all = metrics.filter_map(|(metric, judged)| {
                        let found = difference(cell, metric, [&one, &other], [scene, theirs])?;
                        // The second run of a column says nothing that its first does not.
                        let judged = judged && !cell.twin;
                        let conclusion = if judged { found.conclusion } else { FolderConclusion::Described };
                        let least_effect = compare::least_effect(metric, &first.spec);
                        Some(FolderDifference { same_programs, conclusion, least_effect, ..found })
                    });
                    differences.extend(all);
                }
                None => unmatched.push(format!("{} / {} (first only)", cell.id, scene.load.name)),
            }
        }
    }
    for scene in &other.scenes {
        let alone = scene.results.iter().filter(|r| find(&one, &r.cell.id, &scene.load.name).is_none());
        unmatched.extend(alone.map(|r| format!("{} / {} (second only)", r.cell.id, scene.load.name)));
    }
    correct(&mut differences);
    FolderComparison { circumstances, differences, unmatched }
}

fn correct(differences: &mut [FolderDifference]) {
    let mut family: Vec<&mut FolderDifference> =
        differences.iter_mut().filter(|d| d.conclusion == FolderConclusion::Open).collect();
    let adjusted = stats::holm(&family.iter().map(|difference| difference.p).collect::<Vec<_>>());
    for (difference, p) in family.iter_mut().zip(adjusted) {
        difference.p = p;
        let (interval, least) = (difference.interval, difference.least_effect);
        if p < ALPHA {
            difference.conclusion = FolderConclusion::Differs;
        } else if interval.low >= -least && interval.high <= least {
            difference.conclusion = FolderConclusion::Equivalent;
        }
    }
}

fn find<'a>(analysis: &'a Analysis, cell: &str, load: &str) -> Option<&'a Scene> {
    let fits = |scene: &&Scene| scene.load.name == load && scene.results.iter().any(|r| r.cell.id == cell);
    analysis.scenes.iter().find(fits)
}

/// Whether server and load generator of a cell are known to be the same in both.
fn same_programs(cell: &Cell, environments: [&Environment; 2]) -> bool {
    let same = |programs: fn(&Environment) -> &std::collections::BTreeMap<String, String>, name: &str| {
        let [first, second] = environments.map(|environment| programs(environment).get(name));
        first.is_some() && first == second
    };
    let server = match &cell.peer {
        None => same(|environment| &environment.programs, "caffeine"),
        Some(peer) => same(|environment| &environment.peers, peer.split(':').next().unwrap_or_default()),
    };
    server && same(|environment| &environment.programs, "loadgen")
}

fn difference(
    cell: &Cell,
    metric: Metric,
    analyses: [&Analysis; 2],
    scenes: [&Scene; 2],
) -> Option<FolderDifference> {
    let load = &scenes[0].load.name;
    let rows = analyses.map(|analysis| -> Vec<&Row> {
        let fits = |row: &&Row| row.cell == cell.id && row.load == *load && row.counts;
        analysis.rows.iter().filter(fits).collect()
    });
    let scale = Scale::of(metric);
    let values = [0, 1].map(|side: usize| -> Vec<f64> {
        let all = rows[side].iter().filter_map(|row| value_of(metric, row));
        all.filter(|value| scale.place(*value).is_some()).collect()
    });
    let places = [0, 1]
        .map(|side: usize| values[side].iter().filter_map(|value| scale.place(*value)).collect::<Vec<_>>());
    let (change, Interval { low, high }) = stats::shift_between(&places[0], &places[1])?;
    let runs = [values[0].len(), values[1].len()];
    let bound =
        metric.is_of_the_loop() && rows.iter().flatten().any(|row| row.verdict == Verdict::ClientBound);
    let [offered, later] = scenes.map(|scene| scene.offered_per_s.unwrap_or(1.0));
    let conclusion = match runs {
        _ if (later / offered - 1.0).abs() > SAME_LOAD => FolderConclusion::OtherLoad,
        _ if bound => FolderConclusion::ClientBound,
        [first, second] if first.min(second) < ENOUGH_ROUNDS => FolderConclusion::TooFew,
        _ => FolderConclusion::Open,
    };
    Some(FolderDifference {
        cell: cell.id.clone(),
        load: load.clone(),
        metric,
        medians: [stats::median(&values[0])?, stats::median(&values[1])?],
        runs,
        change: scale.change(change),
        interval: Interval { low: scale.change(low), high: scale.change(high) },
        p: stats::rank_sum_p(&places[0], &places[1]),
        least_effect: 0.0,
        same_programs: false,
        conclusion,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;

    #[test]
    fn the_same_data_twice_do_not_differ() {
        let data = fixture::quick(10);
        let comparison = side_by_side(&data, &data, Vec::new());
        let judged = comparison.differences.iter().filter(|d| d.conclusion.is_judged());
        assert!(judged.clone().all(|d| d.conclusion == FolderConclusion::Equivalent && d.change == 0.0));
        assert!(comparison.summary()[1].starts_with("Equivalent: 6 of 6; "), "{:?}", comparison.summary());
        // The rate under full load, and p99 under half load, of three columns; no rate of an open loop.
        assert_eq!((judged.count(), comparison.differences.len()), (3 * 2, 4 * (6 + 5)));
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
        assert!(rate.conclusion == FolderConclusion::Differs && (rate.change + 20.0).abs() < 1.0, "{rate:?}");
        assert!(rate.p < 0.001 && rate.interval.high < -15.0, "{rate:?}");
        assert!(comparison.unmatched.contains(&"inherited / half load (first only)".to_owned()));
        assert!(comparison.unmatched.contains(&"inherited / other (second only)".to_owned()));
        assert!(comparison.summary()[0].starts_with("3 differences were found, of 3 judged"));
        let few = side_by_side(&fixture::quick(4), &second, Vec::new());
        assert!(few.differences.iter().all(|line| !line.conclusion.is_judged()));
        assert!(few.summary()[0].starts_with("Too few runs"));
    }

    #[test]
    fn one_of_many_small_p_is_no_finding() {
        let data = fixture::quick(10);
        let mut family = side_by_side(&data, &data, Vec::new()).differences;
        family.retain(|d| d.conclusion.is_judged());
        for (p, found) in [(0.02, FolderConclusion::Open), (0.001, FolderConclusion::Differs)] {
            family.iter_mut().for_each(|d| (d.conclusion, d.least_effect) = (FolderConclusion::Open, 0.0));
            family[2].interval = Interval { low: 1.0, high: 2.0 };
            family[2].p = p;
            correct(&mut family);
            assert_eq!(family[2].conclusion, found, "{p} of {}", family.len());
        }
    }

    #[test]
    fn other_offered_loads_are_flagged_and_not_judged() {
        let (first, mut second) = (fixture::quick(10), fixture::quick(10));
        for rate in second.runs.iter_mut().filter_map(|run| run.record.as_mut()?.plan.rate.as_mut()) {
            *rate *= 1.1;
        }
        let comparison = side_by_side(&first, &second, Vec::new());
        let open: Vec<_> = comparison.differences.iter().filter(|d| d.load == "half load").collect();
        let judged = |d: &&&FolderDifference| d.conclusion != FolderConclusion::Described;
        assert!(open.iter().filter(judged).all(|d| d.conclusion == FolderConclusion::OtherLoad));
        let says = comparison.summary();
        assert!(says.iter().any(|says| says.starts_with("3 comparisons are not judged because the offered")));
    }

    #[test]
    fn the_same_programs_show_what_sessions_do() {
        let (mut first, mut second) = (fixture::quick(10), fixture::quick(10));
        let last =
            |first: &Data, second: &Data| side_by_side(first, second, Vec::new()).summary().pop().unwrap();
        assert!(last(&first, &second).contains("the variance between sessions is unknown"));
        for data in [&mut first, &mut second] {
            let programs = ["caffeine", "loadgen"].map(|name| (name.to_owned(), "0.1.0 aa".to_owned()));
            data.environment.programs = programs.into();
        }
        for run in &mut second.runs {
            run.record.as_mut().unwrap().rate *= 0.97;
        }
        let text = last(&first, &second);
        assert!(
            text.contains("6 comparisons of the same programs") && text.contains(" 3.0 % at most"),
            "{text}"
        );
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
