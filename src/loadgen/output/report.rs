//! The record of a run.

use crate::loadgen::count::{Failure, PHASES, ThreadUse, together};
use crate::loadgen::plan::{Peer, Plan};
use crate::loadgen::schedule::Schedule;
use crate::loadgen::session::Findings;
use crate::loadgen::verdict::judge;
use crate::measure::arrivals::{CRITICAL, TOLERANCE, anderson_darling};
use crate::measure::histogram;
use crate::measure::record::{self, ArrivalsTest, Clock, Generator, RunRecord};
use crate::sys::clock::discipline;

pub fn record(plan: &Plan, findings: &Findings) -> RunRecord {
    let Findings { tally, threads: found, interrupted, .. } = findings;
    let open_loop = plan.timing.is_open_loop();
    let duration_s = duration_s(plan, found, *interrupted);
    let per_s = |count| per_second(count, duration_s);
    let generator = generator(found);
    let arrivals_test = arrivals_test(found);
    let (by_start, incidents, incidents_left_out) = together(found.iter().map(|used| &used.starts));
    let (verdict, reasons) = judge(open_loop, tally, generator.busiest_thread, arrivals_test.as_ref());
    let phases = || {
        let recorded = PHASES.into_iter().filter(|phase| !tally.histogram(*phase).is_empty());
        recorded.map(|phase| (phase.name().to_owned(), tally.histogram(phase)))
    };
    let example = |(failure, _): (Failure, u64)| (failure.name().into(), tally.example(failure).into());
    RunRecord {
        schema: record::SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
        plan: plan_record(plan),
        duration_s,
        started: tally.started,
        completed: tally.completed,
        rate: rate(plan, findings, duration_s),
        offered_rate: open_loop.then(|| per_s(tally.started + tally.unsent)),
        sent_rate: per_s(tally.started),
        held: tally.held,
        unsent: tally.unsent,
        unfinished: tally.unfinished,
        connections: tally.connections.clone(),
        interrupted: *interrupted,
        bytes: tally.bytes,
        errors: tally.errors(),
        examples: tally.failures().map(example).collect(),
        statuses: tally.statuses(),
        workers: tally.workers(),
        latency: phases().map(|(name, all)| (name, histogram::summary(all))).collect(),
        histograms: phases().map(|(name, all)| (name, histogram::encode(all))).collect(),
        intervals: findings.intervals.clone(),
        by_start,
        incidents,
        incidents_left_out,
        arrivals_test,
        clock: clock(findings.start_unix_ns),
        generator,
        verdict: verdict.into(),
        reasons,
        ..RunRecord::default()
    }
}

fn generator(found: &[ThreadUse]) -> Generator {
    let share = |used: &ThreadUse| used.cpu_ns as f64 / used.wall_ns.max(1) as f64;
    Generator {
        threads: found.len() as u64,
        cpu_s: found.iter().map(|used| used.cpu_ns as f64 / 1e9).sum(),
        busiest_thread: found.iter().map(share).fold(0.0, f64::max),
    }
}

/// The test over the samples of all threads, which send at the same rate.
fn arrivals_test(found: &[ThreadUse]) -> Option<ArrivalsTest> {
    let samples: Vec<_> = found.iter().filter_map(|used| Some(used.gaps.as_ref()?.probabilities())).collect();
    let arrivals_per_span = samples.first()?.1;
    let sample: Vec<f64> = samples.into_iter().flat_map(|(sample, _)| sample).collect();
    let statistic = anderson_darling(&sample)?;
    Some(ArrivalsTest {
        statistic,
        limit: TOLERANCE * CRITICAL,
        sample: sample.len() as u64,
        arrivals_per_span,
    })
}

fn clock(start_unix_ns: u64) -> Clock {
    let known = discipline().ok();
    Clock {
        start_unix_s: start_unix_ns as f64 / 1e9,
        synchronised: known.map(|state| state.synchronised),
        offset_us: known.map(|state| state.offset_us),
        estimated_error_us: known.map(|state| state.estimated_error_us),
        max_error_us: known.map(|state| state.max_error_us),
    }
}

/// Responses per second within the measured time, including those to requests of the warm-up. Later responses do not
/// count: an overloaded server works off its backlog then, and would seem to keep up with any rate. Without a planned
/// end, the measured time lasts until the last response.
fn rate(plan: &Plan, findings: &Findings, duration_s: f64) -> f64 {
    let begin_s = plan.timing.warmup_ns as f64 / 1e9;
    let end_s = plan.timing.end_ns().map_or(f64::INFINITY, |end_ns| end_ns as f64 / 1e9);
    let within = findings.intervals.iter().filter(|row| (begin_s..end_s).contains(&row.begin_s));
    let completed: u64 = within.map(|row| row.completed).sum();
    let length_s = duration_s.max(last_s(&findings.threads)).min(planned_s(plan));
    per_second(completed, length_s)
}

fn per_second(count: u64, length_s: f64) -> f64 {
    if length_s > 0.0 { count as f64 / length_s } else { 0.0 }
}

fn planned_s(plan: &Plan) -> f64 {
    plan.timing.duration_ns.map_or(f64::INFINITY, |duration| duration as f64 / 1e9)
}

/// From the begin of the measured time to its last response or send, whichever is later.
fn last_s(found: &[ThreadUse]) -> f64 {
    found.iter().map(|used| used.finished_ns).max().unwrap_or(0) as f64 / 1e9
}

/// The measured time: as planned; until the interruption; or, if a number of requests ended the run, until the last
/// response (closed loop) or until the next request would have been due (open loop).
fn duration_s(plan: &Plan, found: &[ThreadUse], interrupted: bool) -> f64 {
    let planned = planned_s(plan);
    let stopped_ns = found.iter().map(|used| used.stopped_ns).max();
    let measured = match (&plan.timing.schedule, plan.timing.requests) {
        _ if interrupted => stopped_ns.unwrap_or(0) as f64 / 1e9,
        (_, None) => planned,
        (None, Some(_)) => last_s(found),
        (Some(schedule), Some(requests)) => {
            schedule.span_s(plan.timing.warmup_ns, requests * plan.timing.shard.of).unwrap_or(planned)
        }
    };
    measured.min(planned)
}

fn plan_record(plan: &Plan) -> record::Plan {
    let timing = &plan.timing;
    let schedule = timing.schedule.as_ref();
    let mean = |schedule: &Schedule| schedule.mean_rate(timing.warmup_ns, timing.end_ns());
    record::Plan {
        url: plan.target.url(),
        urls: Some(plan.requests.len() as u64).filter(|urls| *urls > 1),
        unix_socket: plan.peers.iter().find_map(|peer| match peer {
            Peer::Unix(path) => Some(path.display().to_string()),
            Peer::Ip(_) => None,
        }),
        model: if schedule.is_some() { "open" } else { "closed" }.into(),
        connections: plan.connections as u64,
        rate: schedule.map(|schedule| mean(schedule) / timing.shard.of as f64),
        profile: schedule.and_then(Schedule::profile).map(|profile| profile.text().to_owned()),
        arrivals: schedule.map(Schedule::arrivals),
        spin: plan.spin,
        shard: timing.shard.name(),
        seed: plan.seed,
        duration_s: timing.duration_ns.unwrap_or(0) as f64 / 1e9,
        requests: timing.requests,
        warmup_s: timing.warmup_ns as f64 / 1e9,
        interval_s: plan.interval_ns as f64 / 1e9,
        slow_s: plan.slow_ns.map(|slow_ns| slow_ns as f64 / 1e9),
        keep_alive: plan.persistence.requests == u64::MAX,
        requests_per_connection: Some(plan.persistence.requests).filter(|n| (2..u64::MAX).contains(n)),
        client_closes: plan.persistence.client_closes,
        think: plan.think.map(|think| think.to_string()),
        occupy: plan.occupy.map(|times| times.to_string()),
        sources: plan.sources.len() as u64,
    }
}
