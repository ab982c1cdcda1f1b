//! Judging data with known differences.

use super::*;
use crate::lab::fixture;

fn call(analysis: &Analysis, cell: &str, metric: &str) -> Comparison {
    let scene = &analysis.scenes[0];
    let wanted = |c: &&Comparison| scene.results[c.cell].cell.id == cell && c.metric.title() == metric;
    scene.comparisons.iter().find(wanted).unwrap().clone()
}

#[test]
fn few_rounds_give_estimates_and_no_judgement() {
    let analysis = judge(&fixture::quick(4));
    assert!(!analysis.enough && analysis.rounds == 4);
    let calls =
        analysis.scenes.iter().flat_map(|scene| &scene.comparisons).map(|comparison| comparison.conclusion);
    assert!(calls.into_iter().all(|call| matches!(call, Conclusion::TooFew | Conclusion::Floor)));
}

#[test]
fn with_rounds_enough_a_real_difference_counts_and_a_missing_one_does_not() {
    let analysis = judge(&fixture::quick(12));
    let slower = call(&analysis, "reuseport", "Rate");
    assert_eq!(slower.conclusion, Conclusion::Differs, "{slower:?}");
    assert!((-11.0..-7.0).contains(&slower.median) && slower.median.abs() > slower.floor);
    assert_eq!(call(&analysis, "round-robin", "Rate").conclusion, Conclusion::Same);
    assert_eq!(call(&analysis, "inherited (A/A)", "Rate").conclusion, Conclusion::Floor);
}

#[test]
fn turns_hashes_and_preferences_are_told_apart() {
    let mut data = fixture::quick(3);
    let analysis = judge(&data);
    let kinds: Vec<_> = analysis.scenes[0].results.iter().map(|r| r.spread.unwrap().kind).collect();
    assert_eq!(kinds, [Kind::Turn, Kind::Turn, Kind::Hash, Kind::Turn]);
    for run in &mut data.runs {
        run.workers[0].accepted *= 2;
    }
    assert!(judge(&data).scenes[0].results.iter().all(|r| r.spread.unwrap().kind == Kind::Preference));
}

#[test]
fn a_client_bound_run_marks_the_rate_and_keeps_it_out_of_the_ranking() {
    let mut data = fixture::quick(12);
    let bound = data.runs.iter_mut().filter(|run| run.cell == "reuseport" && run.load == "full load");
    bound.for_each(|run| run.record.as_mut().unwrap().verdict = "CLIENT-BOUND".into());
    let analysis = judge(&data);
    assert!(analysis.scenes[0].results[2].client_bound);
    assert_eq!(call(&analysis, "reuseport", "Rate").conclusion, Conclusion::ClientBound);
    assert_ne!(call(&analysis, "reuseport", "p99").conclusion, Conclusion::ClientBound);
}

#[test]
fn void_runs_are_left_out_and_their_rounds_lose_the_pair() {
    let mut data = fixture::quick(4);
    let victim = data.runs.iter_mut().find(|run| run.round == 2 && run.cell == "reuseport").unwrap();
    let load = victim.load.clone();
    fixture::void(victim);
    let analysis = judge(&data);
    let scene = analysis.scenes.iter().find(|scene| scene.load.name == load).unwrap();
    assert_eq!((scene.results[2].runs, scene.results[2].used), (4, 3));
    assert!(scene.comparisons.iter().filter(|c| c.cell == 2).all(|c| c.pairs == 3));
}

#[test]
fn answers_of_another_status_void_a_run() {
    let mut data = fixture::quick(1);
    for run in &mut data.runs {
        run.record.as_mut().unwrap().statuses = [("404".into(), 100)].into();
    }
    let analysis = judge(&data);
    assert!(
        analysis.rows.iter().all(|row| row.verdict == Verdict::Invalid && row.why().contains("100 of 404"))
    );
}

#[test]
fn a_strategy_with_options_is_compared_with_itself_without_them() {
    let mut data = fixture::quick(12);
    let text = toml::to_string(&data.spec).unwrap().replace("\"round-robin\"", "\"reuseport --pin\"");
    data.spec = crate::lab::spec::Spec::parse(&text, "x.toml").unwrap();
    for run in data.runs.iter_mut().filter(|run| run.cell == "round-robin") {
        run.cell = "reuseport --pin".into();
    }
    // As fast as the baseline, and so faster than the same strategy without options.
    let quicker = call(&judge(&data), "reuseport --pin", "Rate");
    assert!(quicker.conclusion == Conclusion::Differs && quicker.median > 7.0, "{quicker:?}");
}
