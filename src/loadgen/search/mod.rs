//! The search for the highest rate that holds an objective: `rate_search` says which rate comes next, a run of an open loop
//! runs it, `objective` says what it showed, `report` writes it down. This file carries it out; it decides nothing
//! about rates.
//!
//! Every run has its own warm-up and goes on until its last connection is closed, so that the next one begins with an
//! idle server; after one that did not hold there is a pause as well. A search that met its own failed attempts would
//! find too little.

pub mod objective;
mod posterior;
pub mod rate_search;
mod report;

pub use report::{csv, text};

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dist::mix;
use crate::loadgen::control::Interrupt;
use crate::loadgen::error::Error;
use crate::loadgen::figures::short;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::{RateSpec, Schedule};
use crate::loadgen::session::{self, Findings};
use crate::loadgen::view::View;
use crate::measure::record::{Probe, RunRecord, Search, Summary};
use objective::Objectives;
use rate_search::{Outcome, RateSearch};

/// Fewest requests of a meaningful run.
const FEWEST: u64 = 10;
/// Requests planned for each ten that are needed: some may fail.
const MARGIN: u64 = 11;
/// Part of the time that one run may take: this sets the lowest rate.
const LONGEST_PART: f64 = 4.0;
/// First rate unless one is given, per second.
pub const START_RATE: f64 = 100.0;
/// Number of runs that the time is divided by.
const PROBES: u64 = 20;
/// Part of a run that is warm-up unless one is given.
const WARMUP_PART: u64 = 5;
/// Shortest measured time of a run unless one is given, in ns.
const SHORTEST_NS: u64 = 200_000_000;
/// Fraction of the time to pause after a run that missed the objective.
const PAUSES: u32 = 200;
/// How often a pause checks for an interrupt.
const TICK: Duration = Duration::from_millis(20);

#[derive(Clone, Debug)]
pub struct Goal {
    pub objectives: Objectives,
    pub time: Duration,
}

impl Goal {
    /// Requests to plan for each run.
    fn requests(&self) -> f64 {
        (self.objectives.sample().max(FEWEST) * MARGIN) as f64 / 10.0
    }

    /// The lowest rate to try.
    pub fn lowest(&self) -> f64 {
        self.requests() / (self.time.as_secs_f64() / LONGEST_PART)
    }

    /// Whether the first run has time for its requests.
    /// Errors: what it would take.
    pub fn check(&self, first: &Plan) -> Result<(), String> {
        let (rate, lowest) = (rate_of(first), self.lowest());
        if rate >= lowest {
            return Ok(());
        }
        let (requests, time_s) = (self.requests(), self.time.as_secs_f64());
        Err(format!(
            "--find-rate {} needs {requests:.0} requests in each run: in {time_s} s the lowest rate to try is {}/s, \
             and --rate is {}; raise it, or --find-time to {:.0}s",
            self.objectives,
            short(lowest),
            short(rate),
            (requests / rate * LONGEST_PART).ceil()
        ))
    }
}

fn rate_of(first: &Plan) -> f64 {
    first.timing.schedule.as_ref().map_or(START_RATE, |schedule| schedule.mean_rate(0, None))
}

/// Warm-up and measured time of each run of a search that may take `total_ns`, with the given or the default warm-up.
pub fn times(total_ns: u64, warmup_ns: Option<u64>) -> (u64, u64) {
    let run_ns = total_ns / PROBES;
    let warmup_ns = warmup_ns.unwrap_or(run_ns / WARMUP_PART);
    (warmup_ns, run_ns.saturating_sub(warmup_ns).max(SHORTEST_NS))
}

/// Searches from the rate of `first`, the plan of the first run; an interrupt ends it with what is known.
/// Errors: a rate cannot be planned, the server cannot be reached, or the interrupt came during the first run.
pub fn find_rate(
    goal: &Goal,
    first: &Plan,
    interrupt: &Arc<Interrupt>,
    view: &mut View,
) -> Result<(RunRecord, Findings), Error> {
    let begun = Instant::now();
    let mut search = RateSearch::new(rate_of(first), goal.lowest());
    let mut runs: Vec<(Probe, RunRecord, Findings)> = Vec::new();
    while let Some(rate) = search.next() {
        let plan = at_rate(first, rate, goal.requests(), runs.len() as u64)?;
        let needed = Duration::from_nanos(plan.timing.end_ns().unwrap_or(0));
        if !runs.is_empty() && begun.elapsed() + needed > goal.time {
            break;
        }
        view.begin(&plan, &progress(&goal.objectives, &search, runs.len() + 1, rate));
        let findings = session::run(&plan, interrupt, &mut |snapshot| view.show(snapshot))?;
        if let Some(server) = findings.unreachable.as_ref().filter(|_| runs.is_empty()) {
            return Err(session::unreachable(&plan, server));
        }
        if findings.interrupted {
            break;
        }
        let record = super::output::report::record(&plan, &findings);
        let (outcome, reasons) = match &findings.unreachable {
            Some(why) => (Outcome::Broken, vec![format!("cannot connect to {why}")]),
            None => goal.objectives.judge(&record),
        };
        search.note(rate, outcome);
        let probe = probe(rate, outcome, reasons, &record);
        view.note(report::HEAD, &report::line(&probe));
        runs.push((probe, record, findings));
        if outcome != Outcome::Holds {
            pause(goal.time / PAUSES, interrupt);
        }
    }
    conclude(&goal.objectives, &search, runs, interrupt.is_set())
}

/// The plan of run `number`: at another rate than `first`, long enough for this many requests, and with another seed, for a
/// repeated run is to be new evidence.
fn at_rate(first: &Plan, rate: f64, requests: f64, number: u64) -> Result<Plan, Error> {
    let mut plan = first.clone();
    plan.timing.duration_ns = plan.timing.duration_ns.max(Some((requests / rate * 1e9).ceil() as u64));
    plan.seed = mix([first.seed, number]);
    if let Some(Schedule::Rate { profile, seed, .. }) = &mut plan.timing.schedule {
        *profile = RateSpec::constant(rate).profile(0, None);
        *seed = plan.seed;
    }
    let connections = plan.connections as u64;
    plan.fit(Some(connections))
}

fn progress(objectives: &Objectives, search: &RateSearch, number: usize, rate: f64) -> String {
    let Search { lower, upper, .. } = search.found();
    let lower = lower.map(|rate| format!(", holds at {rate}/s")).unwrap_or_default();
    let upper = upper.map(|rate| format!(", not at {rate}/s")).unwrap_or_default();
    format!("search for {objectives}: run {number} at {rate}/s{lower}{upper}")
}

fn pause(time: Duration, interrupt: &Interrupt) {
    let end = Instant::now() + time;
    while Instant::now() < end && !interrupt.is_set() {
        std::thread::sleep(TICK.min(time));
    }
}

fn probe(offered: f64, outcome: Outcome, reasons: Vec<String>, record: &RunRecord) -> Probe {
    let Summary { p50_us, p99_us, p999_us, .. } = record.latency.get("response").cloned().unwrap_or_default();
    let verdict = match outcome {
        Outcome::Holds => "holds",
        Outcome::Broken => "broken",
        Outcome::Limited => "generator-limit",
    };
    let (achieved, completed, failed) = (record.rate, record.completed, record.errors.values().sum());
    Probe { offered, achieved, p50_us, p99_us, p999_us, completed, failed, verdict: verdict.into(), reasons }
}

/// The record of the last run at the rate found, or else at the lowest rate, with the search in it.
fn conclude(
    objectives: &Objectives,
    search: &RateSearch,
    mut runs: Vec<(Probe, RunRecord, Findings)>,
    interrupted: bool,
) -> Result<(RunRecord, Findings), Error> {
    let search = Search {
        objectives: objectives.texts(),
        probes: runs.iter().map(|(probe, ..)| probe.clone()).collect(),
        ..search.found()
    };
    let lowest = search.probes.iter().map(|probe| probe.offered).fold(f64::INFINITY, f64::min);
    let rate = search.rate.unwrap_or(lowest);
    let at = search.probes.iter().rposition(|probe| probe.offered == rate);
    let at =
        at.ok_or_else(|| Error::Failed("the search was interrupted before its first run ended".into()))?;
    let (_, record, findings) = runs.swap_remove(at);
    Ok((RunRecord { search: Some(search), interrupted, ..record }, findings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::cli::Args;
    use crate::loadgen::schedule::{Arrivals, Timing};
    use clap::Parser as _;

    fn plan(rate: f64) -> Plan {
        let profile = RateSpec::constant(rate).profile(0, None);
        let schedule = Some(Schedule::Rate { arrivals: Arrivals::Const, profile, seed: 1 });
        let timing = Timing { schedule, duration_ns: Some(800_000_000), ..Timing::default() };
        Plan { timing, ..Plan::default() }
    }

    fn goal(objectives: &str, seconds: u64) -> Goal {
        Goal { objectives: objectives.parse().unwrap(), time: Duration::from_secs(seconds) }
    }

    #[test]
    fn every_run_is_long_enough_for_the_percentile() {
        let requests = goal("p99<50ms", 20).requests();
        let length_s =
            |rate| at_rate(&plan(100.0), rate, requests, 0).unwrap().timing.duration_ns.unwrap() as f64 / 1e9;
        assert!((length_s(100.0) - 3.3).abs() < 1e-6 && (length_s(10_000.0) - 0.8).abs() < 1e-6);
        assert!((goal("p99<50ms", 20).lowest() - 66.0).abs() < 1e-6, "330 requests in 5 s");
        assert!((goal("max<50ms", 20).lowest() - 2.2).abs() < 1e-6);
    }

    #[test]
    fn a_search_without_time_for_its_first_run_is_refused_with_what_it_takes() {
        assert!(goal("p99<50ms", 20).check(&plan(100.0)).is_ok());
        let why = goal("p99.9<50ms", 20).check(&plan(100.0)).unwrap_err();
        assert!(
            why.contains("3300 requests") && why.contains("660/s") && why.contains("--find-time to 132s"),
            "{why}"
        );
    }

    #[test]
    fn no_two_runs_have_the_same_arrivals() {
        let first =
            Args::parse_from(["loadgen", "--find-rate", "p99<5ms", "--arrivals", "poisson"]).plan().unwrap();
        let seeds = [0, 1, 2].map(|number| {
            let plan = at_rate(&first, 200.0, 0.0, number).unwrap();
            let Some(Schedule::Rate { seed, .. }) = plan.timing.schedule else { panic!("{plan:?}") };
            assert_eq!(seed, plan.seed);
            seed
        });
        assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2], "{seeds:?}");
        assert_eq!(at_rate(&first, 400.0, 0.0, 1).unwrap().seed, seeds[1]);
    }
}
