//! Faults and requests of known times.

use super::*;
use crate::measure::record::{Plan, RunRecord, Summary};
use crate::measure::series::StartSummary;

const WARMUP_S: f64 = 0.5;

fn fault(kind: &str, at_s: f64, until_s: Option<f64>) -> FaultRecord {
    FaultRecord { kind: kind.into(), at_s, until_s, pid: 4711, ..FaultRecord::default() }
}

/// A request of these measured seconds.
fn one(kind: &str, begin_s: f64, end_s: f64, port: u16) -> Incident {
    Incident {
        kind: kind.into(),
        intended_s: begin_s + WARMUP_S,
        sent_s: begin_s + WARMUP_S,
        ended_s: end_s + WARMUP_S,
        port,
        worker: None,
    }
}

fn run(faults: Vec<FaultRecord>, incidents: Vec<Incident>) -> RunData {
    let mut errors = std::collections::BTreeMap::<String, u64>::new();
    for one in incidents.iter().filter(|one| one.kind != Incident::SLOW) {
        *errors.entry(one.kind.clone()).or_default() += 1;
    }
    let record = RunRecord {
        plan: Plan { warmup_s: WARMUP_S, slow_s: Some(0.05), ..Plan::default() },
        duration_s: 20.0,
        completed: 1000,
        errors,
        incidents,
        ..RunRecord::default()
    };
    RunData { faults, record: Some(record), ..RunData::default() }
}

fn losses(run: &RunData) -> Losses {
    Losses::of(run, None).unwrap()
}

#[test]
fn a_loss_of_another_cause_in_a_run_with_kills_is_a_loss() {
    let kill = FaultRecord { held: Some(2), answering: vec![1001, 1002], ..fault("kill", 1.0, None) };
    let reset = "reset-before-response";
    // Two that the worker was answering, one that it never had, one long before, and a port that comes again long after.
    let all = vec![
        one(reset, 0.99, 1.0, 1001),
        one(reset, 0.99, 1.0, 1002),
        one(reset, 0.99, 1.01, 1003),
        one(reset, 0.1, 0.2, 1004),
        one(reset, 8.0, 8.1, 1001),
    ];
    let losses = losses(&run(vec![kill], all));
    assert_eq!(losses.outside, 2);
    assert_eq!(losses.effects, [Effect { reset: 1, answering: 2, ..Effect::default() }]);
    assert_eq!((losses.failed(), losses.hit(), losses.faults()), (3, 1, 1));
}

#[test]
fn what_a_worker_had_accepted_and_not_read_is_told_from_what_it_was_answering() {
    let kill =
        FaultRecord { answering: vec![1], untouched: vec![2, 3], held: Some(3), ..fault("kill", 1.0, None) };
    let reset = |port| one("reset-before-response", 0.95, 1.0, port);
    let effect = losses(&run(vec![kill], vec![reset(1), reset(2), reset(3)])).effects[0];
    assert_eq!((effect.answering, effect.untouched, effect.reset), (1, 2, 0));
}

#[test]
fn every_fault_has_its_own() {
    let faults = (1..=4).map(|second| fault("kill", f64::from(second), None)).collect();
    let all = vec![
        one("reset-in-response", 1.9, 2.0, 7),
        one("early-end", 2.95, 3.05, 8),
        one("timeout-before-response", 1.2, 9.2, 9),
    ];
    let losses = losses(&run(faults, all));
    let failed: Vec<(u64, u64)> = losses.effects.iter().map(|effect| (effect.reset, effect.lost)).collect();
    assert_eq!(failed, [(0, 1), (1, 0), (0, 1), (0, 0)]);
    assert_eq!((losses.hit(), losses.faults(), losses.outside), (3, 4, 0));
}

#[test]
fn refused_connections_are_no_losses_of_a_stop_and_are_losses_otherwise() {
    let refused = || vec![one("connect-refused", 1.2, 1.2, 0)];
    let end = losses(&run(vec![fault("end", 1.0, Some(1.1))], refused()));
    assert_eq!((end.effects[0].refused, end.effects[0].lost), (1, 0));
    let kill = losses(&run(vec![fault("kill", 1.0, None)], refused()));
    assert_eq!((kill.effects[0].refused, kill.effects[0].lost), (0, 1));
}

#[test]
fn a_fault_that_did_not_happen_or_came_after_the_load_is_not_counted() {
    let missed = FaultRecord { pid: 0, note: "no worker was found".into(), ..fault("kill", 1.0, None) };
    let late = fault("kill", 20.5, None);
    assert!(losses(&run(vec![missed, late], Vec::new())).effects.is_empty());
}

#[test]
fn without_a_fault_all_that_fails_is_counted() {
    assert_eq!(losses(&run(Vec::new(), vec![one("early-end", 1.0, 1.1, 5)])).outside, 1);
}

#[test]
fn nothing_is_told_apart_in_a_record_of_an_earlier_layout() {
    let mut run = run(vec![fault("kill", 1.0, None)], vec![one("early-end", 0.9, 1.0, 5)]);
    let record = run.record.as_mut().unwrap();
    record.plan.slow_s = None;
    record.incidents.clear();
    let losses = losses(&run);
    assert!(losses.superseded && losses.outside == 1 && losses.faults() == 1);
    run.faults[0].kind = "end".into();
    let errors = &mut run.record.as_mut().unwrap().errors;
    errors.insert("connect-refused".into(), 7);
    assert_eq!(self::losses(&run).outside, 1, "what a stopping server refuses is known by its kind");
    assert_eq!(Losses::of(&RunData::default(), None), None);
}

/// A run of this length at 200 requests per second of 2 ms; every fifth of those that come while a worker is stuck waits until
/// it goes on.
fn stalled(seconds: f64, stall: Option<(f64, f64)>) -> RunData {
    const STEP_S: f64 = 0.05;
    let (mut by_start, mut incidents) = (Vec::new(), Vec::new());
    for bin in 0..((seconds + WARMUP_S) / STEP_S).round() as u32 {
        let begin_s = f64::from(bin) * STEP_S - WARMUP_S;
        let mut sum_s = 0.0;
        for request in 0..10 {
            let at_s = begin_s + f64::from(request) * STEP_S / 10.0;
            let waits = stall.filter(|(from, to)| request % 5 == 0 && (*from..*to).contains(&at_s));
            let end_s = waits.map_or(at_s, |(_, to)| to) + 0.002;
            sum_s += end_s - at_s;
            if end_s - at_s > 0.05 {
                incidents.push(one(Incident::SLOW, at_s, end_s, 0));
            }
        }
        by_start.push(StartSummary {
            begin_s: begin_s + WARMUP_S,
            end_s: begin_s + STEP_S + WARMUP_S,
            warmup: begin_s < -1e-9,
            completed: 10,
            response: Summary { count: 10, mean_us: sum_s / 10.0 * 1e6, ..Summary::default() },
            ..StartSummary::default()
        });
    }
    let faults = stall.map(|(from, to)| fault("stall", from, Some(to))).into_iter().collect();
    let mut run = run(faults, incidents);
    let record = run.record.as_mut().unwrap();
    (record.duration_s, record.by_start) = (seconds, by_start);
    run
}

#[test]
fn a_stall_has_the_same_figures_in_a_short_and_in_a_long_run() {
    let figures = |seconds: f64| {
        let calm = Calm::of(&stalled(seconds, None)).unwrap();
        let effect = Losses::of(&stalled(seconds, Some((0.2, 0.7))), Some(calm)).unwrap().effects[0];
        (effect.delayed_more.unwrap(), effect.waited_more_s.unwrap())
    };
    let (delayed, waited_s) = figures(1.0);
    let (long_delayed, long_waited_s) = figures(60.0);
    // 20 requests in 0.5 s wait 0.25 s on average: 10 s per second; those of the last 50 ms are not late.
    assert!((17.0..=19.0).contains(&delayed) && (9.0..11.0).contains(&waited_s), "{delayed} {waited_s}");
    assert_eq!(delayed, long_delayed);
    assert!((waited_s - long_waited_s).abs() < 1e-6, "{waited_s} {long_waited_s}");
}

#[test]
fn what_happens_without_the_fault_is_not_its_effect() {
    // Late all the time, with the fault and without.
    let often = |faults| {
        run(
            faults,
            (0..200).map(|n| one(Incident::SLOW, f64::from(n) * 0.1, f64::from(n) * 0.1 + 0.06, 0)).collect(),
        )
    };
    let bins = |run: &mut RunData| {
        run.record.as_mut().unwrap().by_start = stalled(20.0, None).record.unwrap().by_start
    };
    let (mut calm, mut struck) = (often(Vec::new()), often(vec![fault("kill", 5.0, None)]));
    bins(&mut calm);
    bins(&mut struck);
    let effect = Losses::of(&struck, Calm::of(&calm)).unwrap().effects[0];
    assert!(effect.delayed >= 10 && effect.delayed_more.unwrap().abs() < 1.0, "{effect:?}");
    assert!(effect.waited_more_s.unwrap().abs() < 1e-9, "{effect:?}");
}
