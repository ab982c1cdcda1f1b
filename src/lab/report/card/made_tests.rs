//! Findings made by hand, for tests.

use super::findings::{Column, Counts, Effect, Findings, Lost};
use super::soak::Slope;
use crate::lab::judge::Conclusion::{self, Differs, Equivalent};
use crate::lab::judge::claims::{Claim, ClaimVerdict};
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::losses::{self, Losses};
use crate::lab::judge::{Comparison, Estimate};
use crate::lab::spec::Expect;
use crate::lab::spec::Metric::{self, ResponseP99Ms};
use crate::measure::stats::{Block, Interval};

pub fn effect(metric: Metric, place: &str, change: f64, conclusion: Conclusion) -> Effect {
    let block = Block { treated: 1.0, control: 1.0, twin: None };
    let mut found = Comparison::of(metric, &[block], metric.least_effect() * 100.0).unwrap();
    found.change = change;
    found.interval = Interval { low: change - 4.0, high: change + 4.0 };
    (found.conclusion, found.visible, found.pairs) = (conclusion, 12.0, 12);
    Effect { place: place.into(), found, counts: None, noise: 3.0 }
}

pub fn delays(place: &str, own: f64, base: f64, conclusion: Conclusion) -> Effect {
    let mean = |mean: f64| (mean, Some(Interval { low: mean * 0.9, high: mean * 1.1 }));
    let counts = Some(Counts { own: mean(own), base: mean(base), event: "hang", verb: "delays" });
    let mut effect = effect(Metric::DelayedPerFault, place, own - base, conclusion);
    effect.found.least_effect = 1.0;
    Effect { counts, ..effect }
}

pub fn column(name: &str, judged: Vec<Effect>) -> Column {
    Column { name: name.into(), base: "inherited".into(), judged, ..Column::default() }
}

pub fn option(option: &str, judged: Vec<Effect>) -> Column {
    Column { option: Some(option.into()), ..column(&format!("inherited {option}"), judged) }
}

pub fn found(rounds: usize, columns: Vec<Column>) -> Findings {
    Findings {
        experiment: "tail".into(),
        decision: "which listener to take, when requests differ in length".into(),
        baseline: "inherited".into(),
        rounds,
        runs: rounds * 4,
        noise: vec![(ResponseP99Ms, 3.6)],
        columns,
        missing: vec!["handlers (CGI)".into(), "a network".into()],
        ..Findings::default()
    }
}

/// p99 at three loads.
pub fn at_loads(changes: [(f64, Conclusion); 3]) -> Vec<Effect> {
    let loads = ["at load 30 %", "at load 50 %", "at load 85 %"];
    loads
        .into_iter()
        .zip(changes)
        .map(|(load, (change, of))| effect(ResponseP99Ms, load, change, of))
        .collect()
}

pub fn equal() -> Vec<Effect> {
    at_loads([(0.5, Equivalent), (1.0, Equivalent), (-2.0, Equivalent)])
}

pub fn worse() -> Vec<Effect> {
    at_loads([(53.0, Differs), (97.0, Differs), (180.0, Differs)])
}

pub fn claim(name: &str, verdict: ClaimVerdict, why: &str) -> Claim {
    let expect = Expect {
        claim: name.into(),
        text: format!("The text of {name}"),
        published: "2 times".into(),
        over: Some("inherited".into()),
        ..Expect::default()
    };
    let ours = Estimate { median: 1.03, interval: Interval { low: 1.01, high: 1.05 } };
    Claim {
        expect,
        metric: Metric::Rate,
        group: String::new(),
        ours: why.is_empty().then_some(ours),
        rounds: 12,
        verdict,
        why: why.into(),
    }
}

pub fn slope(what: &str, low: f64, high: f64) -> Slope {
    let trend = Trend {
        name: "Memory (PSS)",
        unit: "MiB",
        digits: 1,
        period: "workers replaced",
        median: 20.0,
        per_day: (low + high) / 2.0,
        interval: Interval { low, high },
        limit: 48.0,
    };
    Slope { what: what.into(), trend }
}

pub fn lost(column: &str, faults: u64, lost: u64, delayed: f64) -> Lost {
    let effect = |n: u64| losses::Effect {
        lost: u64::from(n < lost),
        delayed_more: Some(delayed),
        ..losses::Effect::default()
    };
    let losses = Losses { effects: (0..faults).map(effect).collect(), ..Losses::default() };
    Lost { column: column.into(), place: "while a worker is stopped for 0.5 s".into(), event: "hang", losses }
}
