//! Two results folders, cell by cell and load by load.
//!
//! Runs of two folders were not interleaved, so they are not paired: the test is the exact rank sum test over the runs of
//! each side, with Holm's correction for all judged metrics. It knows only the variance within a folder. What two sessions
//! differ by is shown by cells whose programs are the same in both folders.

use super::environment_diff::Difference;
use super::rows::{Row, Verdict};
use super::values::value as value_of;
use super::{Analysis, Comparison, Conclusion, ENOUGH_ROUNDS, Scale, Scene, compare, judge};
use crate::lab::results::data::Environment;
use crate::lab::results::store::Data;
use crate::lab::spec::Metric;
use crate::lab::spec::plan::Cell;
use crate::measure::stats;

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
    /// In the first and in the second folder.
    pub medians: [f64; 2],
    /// Runs that count in the first and in the second folder.
    pub runs: [usize; 2],
    /// Second runs (A/A) are described, and not judged.
    pub found: Comparison,
    /// Whether it is not judged because the offered loads differ.
    pub other_load: bool,
    /// Whether the measured programs are the same in both folders: the change is one between sessions.
    pub same_programs: bool,
}

impl FolderDifference {
    pub fn says(&self) -> &'static str {
        match self.found.conclusion {
            _ if self.other_load => "offered loads differ: not judged",
            Conclusion::TooFew => "too few runs to judge",
            conclusion => conclusion.name(),
        }
    }
}

impl FolderComparison {
    /// The findings, the most important sentence first.
    pub fn summary(&self) -> Vec<String> {
        let count = |conclusion| self.differences.iter().filter(|d| d.found.conclusion == conclusion).count();
        let differ = count(Conclusion::Differs);
        let equivalent = count(Conclusion::Equivalent);
        let judged = differ + equivalent + count(Conclusion::Open);
        let few = count(Conclusion::TooFew);
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
        let other = self.differences.iter().filter(|d| d.other_load).count();
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
            |d: &&FolderDifference| d.found.is_judged() || d.found.conclusion == Conclusion::TooFew;
        let ratio = |d: &&FolderDifference| d.found.scale() == Scale::Ratio;
        let same = self.differences.iter().filter(|d| d.same_programs).filter(measures).filter(ratio);
        let mut changes: Vec<f64> = same.map(|d| d.found.change.abs()).collect();
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
                        let least_effect = compare::least_effect(metric, &first.spec);
                        // The second run of a column says nothing that its first does not.
                        let judged = judged && !cell.twin;
                        let found =
                            difference(cell, metric, [&one, &other], [scene, theirs], judged, least_effect)?;
                        Some(FolderDifference { same_programs, ..found })
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
    compare::correct(differences.iter_mut().map(|difference| &mut difference.found));
    FolderComparison { circumstances, differences, unmatched }
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
    judged: bool,
    least_effect: f64,
) -> Option<FolderDifference> {
    let (load, scale) = (&scenes[0].load.name, Scale::of(metric));
    let rows = analyses.map(|analysis| -> Vec<&Row> {
        let fits = |row: &&Row| row.cell == cell.id && row.load == *load && row.counts;
        analysis.rows.iter().filter(fits).collect()
    });
    let values = rows.each_ref().map(|rows| -> Vec<f64> {
        let all = rows.iter().filter_map(|row| value_of(metric, row));
        all.filter(|value| scale.place(*value).is_some()).collect()
    });
    let [first, second] = values
        .each_ref()
        .map(|values| values.iter().filter_map(|value| scale.place(*value)).collect::<Vec<_>>());
    let bound =
        metric.is_of_the_loop() && rows.iter().flatten().any(|row| row.verdict == Verdict::ClientBound);
    let [offered, later] = scenes.map(|scene| scene.offered_per_s.unwrap_or(1.0));
    let other_load = judged && (later / offered - 1.0).abs() > SAME_LOAD;
    let conclusion = match judged && !other_load {
        false => Conclusion::Described,
        true if bound => Conclusion::ClientBound,
        true => Conclusion::TooFew,
    };
    let mut found = Comparison::unpaired(metric, [&first, &second], least_effect)?;
    found.conclusion = conclusion;
    Some(FolderDifference {
        cell: cell.id.clone(),
        load: load.clone(),
        medians: [stats::median(&values[0])?, stats::median(&values[1])?],
        runs: [first.len(), second.len()],
        found,
        other_load,
        same_programs: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;
    use crate::measure::stats::Interval;

    #[test]
    fn the_same_data_twice_do_not_differ() {
        let data = fixture::quick(10);
        let comparison = side_by_side(&data, &data, Vec::new());
        let judged = comparison.differences.iter().filter(|d| d.found.is_judged());
        assert!(
            judged.clone().all(|d| d.found.conclusion == Conclusion::Equivalent && d.found.change == 0.0)
        );
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
        let rate = comparison.differences.iter().find(|line| line.found.metric == Metric::Rate).unwrap();
        let rate = &rate.found;
        assert!(rate.conclusion == Conclusion::Differs && (rate.change + 20.0).abs() < 1.0, "{rate:?}");
        assert!(rate.p < 0.001 && rate.interval.high < -15.0, "{rate:?}");
        assert!(comparison.unmatched.contains(&"inherited / half load (first only)".to_owned()));
        assert!(comparison.unmatched.contains(&"inherited / other (second only)".to_owned()));
        assert!(comparison.summary()[0].starts_with("3 differences were found, of 3 judged"));
        let few = side_by_side(&fixture::quick(4), &second, Vec::new());
        assert!(few.differences.iter().all(|line| !line.found.is_judged()));
        assert!(few.summary()[0].starts_with("Too few runs"));
    }

    #[test]
    fn one_of_many_small_p_is_no_finding() {
        let data = fixture::quick(10);
        let mut family = side_by_side(&data, &data, Vec::new()).differences;
        family.retain(|d| d.found.is_judged());
        for (p, found) in [(0.02, Conclusion::Open), (0.001, Conclusion::Differs)] {
            family
                .iter_mut()
                .for_each(|d| (d.found.conclusion, d.found.least_effect) = (Conclusion::TooFew, 0.0));
            family[2].found.interval = Interval { low: 1.0, high: 2.0 };
            family[2].found.p = p;
            compare::correct(family.iter_mut().map(|d| &mut d.found));
            assert_eq!(family[2].found.conclusion, found, "{p} of {}", family.len());
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
        assert!(open.iter().any(|d| d.other_load && d.says() == "offered loads differ: not judged"));
        assert!(open.iter().all(|d| d.found.conclusion == Conclusion::Described));
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
}
