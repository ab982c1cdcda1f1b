//! Judging data with known differences.

use super::*;
use crate::lab::fixture;
use crate::lab::fixture::rich::Rich;

fn call(analysis: &Analysis, cell: &str, metric: &str) -> Comparison {
    let scene = &analysis.scenes[0];
    let wanted = |c: &&Comparison| scene.results[c.cell].cell.id == cell && c.metric.title() == metric;
    scene.comparisons.iter().find(wanted).unwrap().clone()
}

#[test]
fn few_rounds_give_estimates_and_no_judgement() {
    let analysis = judge(&fixture::quick(4));
    assert!(!analysis.enough && analysis.rounds == 4);
    let all = analysis.scenes.iter().flat_map(|scene| &scene.comparisons);
    assert!(all.clone().all(|comparison| !comparison.is_judged()));
    assert!(all.filter(|c| c.primary && !analysis.scenes[0].results[c.cell].cell.twin).count() == 4);
}

#[test]
fn with_rounds_enough_a_real_difference_counts_and_a_missing_one_does_not() {
    let analysis = judge(&fixture::quick(12));
    let slower = call(&analysis, "reuseport", "Rate");
    assert_eq!(slower.conclusion, Conclusion::Differs, "{slower:?}");
    assert!((-11.0..-7.0).contains(&slower.change) && slower.interval.contains(slower.change), "{slower:?}");
    assert_eq!(call(&analysis, "round-robin", "Rate").conclusion, Conclusion::Equivalent);
    assert_eq!(call(&analysis, "inherited (A/A)", "Rate").conclusion, Conclusion::Twin);
}

#[test]
fn one_metric_of_each_load_is_judged_and_the_others_are_described() {
    let mut data = fixture::quick(12);
    let judged = |data: &Data| -> Vec<(usize, Metric)> {
        let analysis = judge(data);
        let of = |(index, scene): (usize, &Scene)| {
            let judged = scene.comparisons.iter().filter(|c| c.is_judged());
            judged.map(|c| (index, c.metric)).collect::<Vec<_>>()
        };
        let all = analysis.scenes.iter().flat_map(|scene| &scene.comparisons);
        assert!(all.filter(|c| !c.primary).all(|c| !c.is_judged()));
        analysis.scenes.iter().enumerate().flat_map(of).collect()
    };
    // reuseport and round-robin, under either load.
    let (rate, p99) = ((0, Metric::Rate), (1, Metric::ResponseP99Ms));
    assert_eq!(judged(&data), [rate, rate, p99, p99]);
    data.spec.load[1].primary = Some("response_p95_ms".into());
    assert_eq!(judged(&data)[2..], [(1, Metric::ResponseP95Ms); 2]);
}

#[test]
fn a_spread_is_classed_by_its_size_however_many_connections_there_are() {
    let mut data = fixture::quick(3);
    let kinds = |data: &Data| -> Vec<Kind> {
        judge(data).scenes[0].results.iter().map(|r| r.spread.unwrap().kind).collect()
    };
    assert_eq!(kinds(&data), [Kind::Even; 4]);
    for (counts, kind) in [
        ([26_000, 25_000, 25_000, 24_000], Kind::Even),
        ([30_000, 24_000, 23_000, 23_000], Kind::RoughlyEven),
        ([40_000, 20_000, 20_000, 20_000], Kind::Uneven),
        ([97_000, 1_000, 1_000, 1_000], Kind::Concentrated),
    ] {
        for run in &mut data.runs {
            run.workers.iter_mut().zip(counts).for_each(|(worker, count)| worker.accepted = count);
        }
        assert_eq!(kinds(&data), [kind; 4], "{counts:?}");
        assert!(judge(&data).scenes[0].results[0].spread.unwrap().p < 0.001);
    }
}

#[test]
fn a_client_bound_closed_loop_ranks_neither_rate_nor_response_times() {
    let mut data = fixture::quick(12);
    let bound = data.runs.iter_mut().filter(|run| run.cell == "reuseport" && run.load == "full load");
    bound.for_each(|run| run.record.as_mut().unwrap().verdict = "CLIENT-BOUND".into());
    let of = |data: &Data, metric: &str| call(&judge(data), "reuseport", metric).conclusion;
    assert!(judge(&data).scenes[0].results[2].client_bound);
    for metric in ["Rate", "p50", "p99"] {
        assert_eq!(of(&data, metric), Conclusion::ClientBound, "{metric}");
    }
    assert_eq!(of(&data, "Server CPU"), Conclusion::Described);
    assert!(call(&judge(&data), "round-robin", "Rate").is_judged());
    data.spec.load[0].primary = Some("response_p99_ms".into());
    assert_eq!(of(&data, "p99"), Conclusion::ClientBound);
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
    let pairs = call(&judge(&data), "reuseport --pin", "Rate");
    assert!(pairs.conclusion == Conclusion::Differs && pairs.change > 7.0, "{pairs:?}");
    // The second run of the base is the third member of each block: a much smaller p is possible.
    let cells = plan::cells(&data.spec);
    let twin = cells.iter().find(|cell| cell.twin && cell.listener == "reuseport").unwrap();
    let again: Vec<RunData> = data.runs.iter().filter(|run| run.cell == "reuseport").cloned().collect();
    data.runs.extend(again.into_iter().map(|mut run| {
        (run.cell, run.order) = (twin.id.clone(), run.order + 1000);
        run
    }));
    let trios = call(&judge(&data), "reuseport --pin", "Rate");
    assert!(trios.conclusion == Conclusion::Differs && trios.p < pairs.p / 50.0, "{trios:?} {pairs:?}");
}

/// A load of 400 per second without a fault, with a killed worker and with a stopped one, for which connections wait under a
/// hash.
fn struck(rounds: u32) -> Data {
    let faults = vec!["none", "kill@1s", "stop@1s+500ms"];
    let listeners = vec!["inherited", "reuseport", "round-robin"];
    Rich { rounds, faults, listeners, peers: Vec::new(), closed: false, open: vec![400], ..Rich::default() }
        .data()
}

#[test]
fn with_a_fault_connections_late_by_it_are_judged_and_not_the_tail_of_the_run() {
    let mut data = struck(10);
    let analysis = judge(&data);
    let scene = |fault: &str| analysis.scenes.iter().find(|scene| scene.group.title == fault).unwrap();
    assert_eq!(scene("no fault").judged, [Metric::ResponseP99Ms]);
    assert_eq!(scene("kill@1s").judged, [Metric::DelayedPerFault, Metric::FailedPerFault]);
    let stuck = scene("stop@1s+500ms");
    assert_eq!(stuck.judged, [Metric::DelayedPerFault]);
    assert!(stuck.comparisons.iter().all(|c| c.metric != Metric::ResponseP99Ms), "it depends on the length");
    let of = |column: &str| {
        let cell = stuck.results.iter().position(|result| result.cell.name() == column).unwrap();
        (&stuck.results[cell], stuck.comparison(cell, Metric::DelayedPerFault).unwrap())
    };
    // A quarter of them in the queue of the stopped worker for 450 ms.
    let (hash, late) = of("reuseport");
    assert_eq!(late.conclusion, Conclusion::Differs, "{late:?}");
    assert!((38.0..52.0).contains(&late.change) && late.interval.contains(late.change), "{late:?}");
    assert!(late.interval.low > 30.0 && hash.estimate(Metric::DelayedPerFault).unwrap().median > 35.0);
    // The others have none or one: no logarithm, no ratio, and all the same a judgement.
    let (turns, same) = of("round-robin");
    assert!(turns.estimate(Metric::DelayedPerFault).unwrap().median <= 3.0);
    assert_eq!(same.says(), "equivalent within 1 per fault", "{same:?}");
    let (_, twin) = of("inherited (A/A)");
    assert_eq!(twin.conclusion, Conclusion::Twin);
    // Two are reset by every kill, one of which the worker was answering.
    let kill = scene("kill@1s");
    let lost = kill.comparison(2, Metric::FailedPerFault).unwrap();
    assert_eq!((lost.change, lost.says().as_str()), (0.0, "equivalent within 0.1 per fault"), "{lost:?}");
    assert_eq!(kill.results[2].estimate(Metric::FailedPerFault).unwrap().median, 1.0);
    // Records of an earlier layout do not tell: they are judged as they were.
    let mut older = data.clone();
    older.runs.iter_mut().filter_map(|run| run.record.as_mut()).for_each(|record| record.plan.slow_s = None);
    let judged = judge(&older).scenes.into_iter().map(|scene| scene.judged);
    assert!(judged.into_iter().all(|judged| judged == [Metric::ResponseP99Ms]));
    // Without runs without the fault, nothing is known to be late because of it.
    data.runs.retain(|run| !run.cell.ends_with("no fault"));
    data.spec.factors.fault.remove(0);
    let analysis = judge(&data);
    let judged = analysis.scenes.iter().flat_map(|scene| &scene.comparisons).filter(|c| c.is_judged());
    assert!(judged.clone().all(|c| c.metric == Metric::FailedPerFault) && judged.count() > 0);
}
