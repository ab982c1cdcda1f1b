//! Findings made by hand, for tests.

use super::claims::Said;
use super::findings::{Column, Counts, Effect, Findings, Lost};
use super::soak::Slope;
use crate::lab::judge::Conclusion::{self, Differs, Equivalent};
use crate::lab::judge::claims::ClaimVerdict;
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::losses::Losses;
use crate::lab::spec::Metric::{self, ResponseP99Ms};
use crate::measure::stats::Interval;

pub fn effect(metric: Metric, place: &str, change: f64, conclusion: Conclusion) -> Effect {
    let limit = metric.least_effect() * 100.0;
    Effect {
        place: place.into(),
        metric,
        change,
        interval: Interval { low: change - 4.0, high: change + 4.0 },
        counts: None,
        limit,
        conclusion,
        visible: 12.0,
        would_take: "would take 12 % to see".into(),
        rounds: 12,
        noise: 3.0,
    }
}

pub fn delays(place: &str, own: f64, base: f64, conclusion: Conclusion) -> Effect {
    let mean = |mean: f64| (mean, Some(Interval { low: mean * 0.9, high: mean * 1.1 }));
    let counts = Some(Counts { own: mean(own), base: mean(base), event: "hang", verb: "delays" });
    Effect { counts, limit: 1.0, ..effect(Metric::DelayedPerFault, place, own - base, conclusion) }
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

pub fn claim(name: &str, verdict: ClaimVerdict, why: &str) -> Said {
    Said {
        name: name.into(),
        text: format!("The text of {name}"),
        theirs: "2 times".into(),
        ours: if why.is_empty() { "1.03 times (1.01 to 1.05)".into() } else { String::new() },
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
    let losses = Losses {
        faults,
        hit: lost.min(faults),
        lost,
        delayed_more: vec![delayed; faults as usize],
        ..Losses::default()
    };
    Lost { column: column.into(), place: "while a worker is stopped for 0.5 s".into(), event: "hang", losses }
}
