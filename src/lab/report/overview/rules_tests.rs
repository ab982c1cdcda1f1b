//! Tables of cases for the rules of the overview.

use super::*;
use crate::lab::report::overview::Basis;
use crate::lab::report::overview::cells::{DELAYED, LOST, Ratio};
use crate::lab::report::overview::columns::COLUMNS;
use crate::lab::report::summary::Summary;
use crate::lab::spec::FaultKind;

fn column(key: &str) -> &'static Column {
    COLUMNS.iter().find(|column| column.key == key).unwrap()
}

fn cell(strategy: &str, estimate: f64, told: Told) -> Cell {
    Cell {
        strategy: strategy.into(),
        metric: "response_p99_ms".into(),
        work: "sleep".into(),
        load: "load 80 %".into(),
        fault: None,
        estimate,
        interval: Some(Interval { low: estimate * 0.9, high: estimate * 1.1 }),
        ratio: None,
        told,
        n: 12,
        hits: 0,
        lost: 0,
    }
}

fn against(strategy: &str, value: f64, told: Told, other: &str) -> Cell {
    let interval = Interval { low: value * 0.95, high: value * 1.05 };
    let ratio = Some(Ratio { against: other.into(), value, interval });
    Cell { ratio, ..cell(strategy, 10.0 * value, told) }
}

fn run(place: &str, started: &str, rounds: usize, cells: Vec<Cell>) -> Run {
    let basis = Some(Basis { rounds, ..Basis::default() });
    let experiment = place.split('/').next().unwrap().into();
    let summary = Summary { started: started.into(), basis, cells, ..Summary::default() };
    Run { experiment, place: place.into(), kept: false, summary }
}

fn but(mut run: Run, change: fn(&mut Basis)) -> Run {
    change(run.summary.basis.as_mut().unwrap());
    run
}

fn lost(strategy: &str, hits: u64, n: u64) -> Cell {
    let empty = Cell {
        hits: 0,
        n: 0,
        metric: LOST.into(),
        fault: Some(FaultKind::Kill),
        ..cell(strategy, 0.0, Told::Counted)
    };
    empty.plus(&Cell { hits, n, lost: hits, ..cell(strategy, 0.0, Told::Counted) })
}

fn delayed(strategy: &str, estimate: f64, n: u64) -> Cell {
    Cell {
        metric: DELAYED.into(),
        n,
        fault: Some(FaultKind::Stall),
        ..cell(strategy, estimate, Told::Counted)
    }
}

#[test]
fn colour_is_for_differences_beyond_noise() {
    let judged = |value, told| against("reuseport", value, told, "inherited");
    let default = || cell("inherited", 10.0, Told::Baseline);
    let cases = [
        ("the default itself", default(), 12, Tone::Default),
        ("more of what is bad", judged(2.8, Told::Differs), 12, Tone::Worse),
        ("less of what is bad", judged(0.5, Told::Differs), 12, Tone::Better),
        ("a difference of no interest", judged(1.04, Told::Small), 12, Tone::Same),
        ("equivalent", judged(1.01, Told::Equivalent), 12, Tone::Same),
        ("neither", judged(1.3, Told::Open), 12, Tone::Open),
        (
            "compared with a C program: far from the default",
            against("reuseport", 2.0, Told::Differs, "command:c"),
            12,
            Tone::Worse,
        ),
        (
            "compared with a C program: near the default",
            against("reuseport", 1.1, Told::Differs, "command:c"),
            12,
            Tone::Open,
        ),
        ("described, intervals apart", cell("reuseport", 15.0, Told::Described), 12, Tone::Worse),
        ("described, intervals overlap", cell("reuseport", 11.0, Told::Described), 12, Tone::Open),
        ("too few rounds, however far apart", cell("reuseport", 90.0, Told::TooFew), 4, Tone::Unjudged),
        ("described in a few rounds", cell("reuseport", 90.0, Told::Described), 9, Tone::Unjudged),
    ];
    for (name, cell, rounds, expected) in cases {
        let run = run("tail/a", "1", rounds, Vec::new());
        assert_eq!(tone(&cell, Some(&default()), &run, false), expected, "{name}");
    }
    let run = run("quick/a", "1", 12, Vec::new());
    assert_eq!(
        tone(&judged(0.9, Told::Differs), Some(&default()), &run, true),
        Tone::Worse,
        "less throughput"
    );
    assert_eq!(
        tone(&cell("reuseport", 90.0, Told::Described), None, &run, false),
        Tone::Unjudged,
        "no default"
    );
}

#[test]
fn counts_of_faults_have_a_colour_if_their_bounds_are_apart() {
    let run = run("losses/a", "1", 1, Vec::new());
    let cases = [
        ("many lost", lost("reuseport:private", 60, 100), lost("inherited", 0, 100), Tone::Worse),
        ("few faults", lost("reuseport:private", 1, 2), lost("inherited", 0, 2), Tone::Open),
        ("none lost", lost("reuseport", 0, 300), lost("inherited", 0, 300), Tone::Open),
        ("many late", delayed("reuseport", 109.0, 12), delayed("inherited", 1.0, 12), Tone::Worse),
        ("hardly later", delayed("reuseport", 1.9, 12), delayed("inherited", 1.0, 12), Tone::Open),
        ("late in few faults", delayed("reuseport", 109.0, 9), delayed("inherited", 1.0, 9), Tone::Unjudged),
    ];
    for (name, cell, default, expected) in cases {
        assert_eq!(tone(&cell, Some(&default), &run, false), expected, "{name}");
    }
}

#[test]
fn superseded_methods_and_debug_builds_have_no_colour() {
    let cell = against("reuseport", 3.0, Told::Differs, "inherited");
    for change in [|basis: &mut Basis| basis.superseded = true, |basis: &mut Basis| basis.debug = true] {
        let run = but(run("tail/a", "1", 12, Vec::new()), change);
        assert_eq!(tone(&cell, None, &run, false), Tone::Unjudged);
    }
    let old = Run { summary: Summary::default(), ..run("tail/a", "1", 12, Vec::new()) };
    assert_eq!(tone(&cell, None, &old, false), Tone::Unjudged, "a summary without a basis");
}

#[test]
fn the_newest_usable_run_of_the_preferred_experiment_fills_a_cell() {
    let tail = column("tail");
    let at = |place: &str, started: &str, rounds| {
        run(place, started, rounds, vec![cell("uring", 10.0, Told::Described)])
    };
    let superseded = |run| but(run, |basis| basis.superseded = true);
    let debug = |run| but(run, |basis| basis.debug = true);
    let cases: Vec<(&str, Vec<Run>, Option<&str>)> = vec![
        ("nothing", vec![], None),
        ("another experiment", vec![at("quick/a", "1", 12)], None),
        ("the newer of two", vec![at("tail/a", "1", 12), at("tail/b", "2", 12)], Some("tail/b")),
        ("rounds before age", vec![at("tail/a", "1", 12), at("tail/b", "2", 4)], Some("tail/a")),
        (
            "the present method before age",
            vec![at("tail/a", "1", 4), superseded(at("tail/b", "2", 12))],
            Some("tail/a"),
        ),
        (
            "a release build before age",
            vec![at("tail/a", "1", 12), debug(at("tail/b", "2", 12))],
            Some("tail/a"),
        ),
        ("an old method rather than nothing", vec![superseded(at("tail/a", "1", 12))], Some("tail/a")),
        (
            "a member of a suite",
            vec![Run { experiment: "tail".into(), ..at("claims/a/tail", "1", 12) }],
            Some("claims/a/tail"),
        ),
    ];
    for (name, runs, expected) in cases {
        let found = newest(tail, "sleep", "uring", &runs);
        assert_eq!(found.map(|found| found.run.place.as_str()), expected, "{name}");
        assert!(
            newest(tail, "cgi", "uring", &runs).is_none()
                && newest(tail, "sleep", "reuseport", &runs).is_none()
        );
    }
}

#[test]
fn more_faults_come_before_newer_ones_and_kinds_of_work_are_counted_together() {
    let kill = column("kill");
    let two = || {
        let cgi = Cell { work: "cgi".into(), ..lost("inherited", 1, 150) };
        vec![lost("inherited", 0, 150), cgi]
    };
    let runs = [run("losses-full/a", "1", 30, two()), run("losses/a", "2", 1, vec![lost("inherited", 0, 5)])];
    let found = newest(kill, "", "inherited", &runs).unwrap();
    assert_eq!((found.run.place.as_str(), found.cell.hits, found.cell.n), ("losses-full/a", 1, 300));
    assert_eq!(found.cell.work, "sleep and cgi");
    assert!(found.cell.interval.unwrap().high < 0.02);
}

#[test]
fn a_column_shows_one_kind_of_work_and_nothing_that_the_load_generator_limited() {
    let cpu = column("cpu");
    let of = |work: &str, told| Cell {
        metric: "server_cpu_us".into(),
        work: work.into(),
        load: "full load".into(),
        ..cell("inherited", 90.0, told)
    };
    let names = ["inherited".to_owned()];
    let quick = run("quick/a", "1", 12, vec![of("cgi", Told::Described)]);
    let old = but(run("strategies/a", "1", 12, vec![of("fixed", Told::Described)]), |basis| {
        basis.superseded = true
    });
    assert_eq!(work(cpu, &names, &[old.clone(), quick.clone()]), "cgi", "of the present method");
    assert_eq!(work(cpu, &names, &[old]), "fixed");
    assert_eq!(work(cpu, &names, &[]), "fixed");
    let overhead = run("overhead/a", "1", 12, vec![of("fixed", Told::Described)]);
    assert_eq!(work(cpu, &names, &[overhead, quick]), "fixed", "the preferred one");
    let bound = run("quick/a", "1", 12, vec![of("cgi", Told::ClientBound)]);
    assert!(newest(cpu, "cgi", "inherited", &[bound]).is_none());
}
