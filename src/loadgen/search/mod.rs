//! The search for the highest rate that holds an objective: `rate_search` says which rate comes next, a run of an open loop
//! tries it, `objective` says what it showed, `report` writes it down. This file carries it out; it decides nothing
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

use crate::loadgen::cli::Args;
use crate::loadgen::control::{Control, Interrupt};
use crate::loadgen::error::Error;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::profile::RateSpec;
use crate::loadgen::session::{self, Findings};
use crate::loadgen::view::View;
use crate::measure::record::{Probe, RunRecord, Search, Summary};
use objective::Objectives;
use rate_search::{Interval, Outcome, RateSearch, Rules};

/// Requests without which a run says nothing: they set the lowest rate.
const FEWEST: f64 = 10.0;
/// First rate, if none is given, per second.
const START: f64 = 100.0;
/// Runs that the time is planned for.
const PROBES: u64 = 20;
/// The part of that which is warm-up, if no warm-up is given.
const WARMUP_PART: u64 = 5;
/// Shortest measured time that is chosen for a run, in ns.
const SHORTEST_NS: u64 = 200_000_000;
/// Pause after a run that did not hold, as a share of the time.
const PAUSES: u32 = 200;
/// How often a pause looks whether the program is to end.
const TICK: Duration = Duration::from_millis(20);

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The run that stands for the answer, with the search in it.
    pub record: RunRecord,
    /// What that run found.
    pub findings: Findings,
}

/// One run of the search.
struct Try {
    rate: f64,
    outcome: Outcome,
    reasons: Vec<String>,
    record: RunRecord,
    findings: Findings,
}

/// Searches, in the time that the options give; an interrupt ends it with what is known.
///
/// # Errors
/// The plan is impossible, the server cannot be reached, or nothing was learnt before the interrupt.
pub fn find_rate(
    args: &Args,
    objectives: &Objectives,
    interrupt: &Arc<Interrupt>,
    view: &mut View,
) -> Result<Found, Error> {
    let begun = Instant::now();
    let time = Duration::from_nanos(args.search.find_time);
    let start = start(args)?;
    let measured_s = plan_at(args, start)?.duration_ns.unwrap_or(0) as f64 / 1e9;
    let mut search = RateSearch::new(Rules::new(start, FEWEST / measured_s));
    let mut tries: Vec<Try> = Vec::new();
    while let Some(rate) = search.next() {
        let plan = plan_at(args, rate)?;
        let needed = Duration::from_nanos(plan.warmup_ns + plan.duration_ns.unwrap_or(0));
        if !tries.is_empty() && begun.elapsed() + needed > time {
            break;
        }
        let control = Arc::new(Control::new(plan.threads, interrupt.clone()));
        view.begin(&plan, &standing(objectives, &search, tries.len() + 1, rate));
        let findings = session::carry_out(&plan, &control, &mut |snapshot| view.show(snapshot))?;
        if tries.is_empty()
            && let Some(why) = control.unreachable()
        {
            return Err(super::unreachable(&plan, why));
        }
        if findings.interrupted {
            break;
        }
        let record = super::output::report::record(&plan, &findings);
        let (outcome, reasons) = match control.unreachable() {
            Some(why) => (Outcome::Broken, vec![format!("cannot connect to {why}")]),
            None => objectives.judge(&record),
        };
        search.note(rate, outcome);
        let tried = Try { rate, outcome, reasons, record, findings };
        view.note(report::HEAD, &report::line(&probe(&tried)));
        tries.push(tried);
        if outcome != Outcome::Holds {
            pause(time / PAUSES, interrupt);
        }
    }
    conclude(objectives, &search, tries)
}

/// The first rate.
fn start(args: &Args) -> Result<f64, Error> {
    match &args.schedule.rate {
        None => Ok(START),
        Some(rate) if rate.is_constant() => Ok(rate.profile(0, None).mean(0.0, 1.0)),
        Some(_) => {
            Err(Error::Usage("--rate with --find-rate is the first rate to try: a single number".into()))
        }
    }
}

/// The plan of a run at `rate`.
fn plan_at(args: &Args, rate: f64) -> Result<Plan, Error> {
    let mut args = args.clone();
    let share = args.search.find_time / PROBES;
    let warmup = *args.schedule.warmup.get_or_insert(share / WARMUP_PART);
    args.schedule.duration.get_or_insert(share.saturating_sub(warmup).max(SHORTEST_NS));
    args.schedule.rate = Some(RateSpec::constant(rate));
    Plan::new(&args)
}

/// Where the search stands, in one line.
fn standing(objectives: &Objectives, search: &RateSearch, number: usize, rate: f64) -> String {
    let Interval { lower, upper, .. } = search.interval();
    let lower = lower.map(|level| format!(", holds at {}/s", level.rate)).unwrap_or_default();
    let upper = upper.map(|level| format!(", not at {}/s", level.rate)).unwrap_or_default();
    format!("search for {objectives}: run {number} at {rate}/s{lower}{upper}")
}

fn pause(time: Duration, interrupt: &Interrupt) {
    let end = Instant::now() + time;
    while Instant::now() < end && !interrupt.is_set() {
        std::thread::sleep(TICK.min(time));
    }
}

fn probe(tried: &Try) -> Probe {
    let Summary { p50_us, p99_us, p999_us, .. } =
        tried.record.latency.get("response").cloned().unwrap_or_default();
    Probe {
        offered: tried.rate,
        achieved: tried.record.rate,
        p50_us,
        p99_us,
        p999_us,
        completed: tried.record.completed,
        failed: tried.record.errors.values().sum(),
        verdict: match tried.outcome {
            Outcome::Holds => "holds",
            Outcome::Broken => "broken",
            Outcome::Limited => "generator-limit",
        }
        .into(),
        reasons: tried.reasons.clone(),
    }
}

/// The record of the run that stands for the answer: the last one at that rate, or the one at the lowest.
fn conclude(objectives: &Objectives, search: &RateSearch, mut tries: Vec<Try>) -> Result<Found, Error> {
    let interval = search.interval();
    let outcome = match (interval.answer, interval.upper) {
        _ if interval.is_limited => "generator",
        (None, _) => "none",
        (Some(_), None) => "above",
        _ => "found",
    };
    let search = Search {
        objectives: objectives.texts(),
        outcome: outcome.into(),
        rate: interval.answer.map(|level| level.rate),
        lower: interval.lower.map(|level| level.rate),
        upper: interval.upper.map(|level| level.rate),
        confirmed: interval.confirmed,
        non_monotone: interval.non_monotone,
        probes: tries.iter().map(probe).collect(),
    };
    let lowest = tries.iter().map(|tried| tried.rate).fold(f64::INFINITY, f64::min);
    let rate = search.rate.unwrap_or(lowest);
    let at = tries.iter().rposition(|tried| tried.rate == rate);
    let at =
        at.ok_or_else(|| Error::Failed("the search was interrupted before its first run ended".into()))?;
    let Try { record, findings, .. } = tries.swap_remove(at);
    Ok(Found { record: RunRecord { search: Some(search), ..record }, findings })
}
