//! Timelines for tests: a run of 30 s at 2000 requests per second.

use super::timeline::Timeline;
use crate::loadgen::count::{Answer, Failure, Phase, Snapshot, Tally, Timestamps};
use crate::loadgen::plan::{Plan, Target};
use crate::loadgen::schedule::{Arrivals, RateSpec, Schedule, Timing};
use crate::measure::histogram::summary;
use crate::measure::series::IntervalSummary;

const SECOND_NS: u64 = 1_000_000_000;

/// After this many seconds.
pub fn timeline(seconds: u64) -> Timeline {
    let duration_ns = Some(30 * SECOND_NS);
    let profile = RateSpec::constant(2000.0).profile(SECOND_NS, duration_ns);
    let schedule = Some(Schedule::Rate { arrivals: Arrivals::Const, profile, seed: 1 });
    let timing = Timing { schedule, duration_ns, ..Timing::default() };
    let target = Target::parse("127.0.0.1:8080/hello").unwrap();
    let plan = Plan { timing, target, connections: 256, ..Plan::default() };
    let mut timeline = Timeline::new(&plan, "");
    let mut total = Tally::default();
    for second in 0..seconds {
        let warmup = second == 0;
        let tally = tally(second, warmup);
        if !warmup {
            total.add(&tally);
        }
        timeline.take(&Snapshot {
            plan: &plan,
            start_unix_ns: 0,
            begin_ns: second * SECOND_NS,
            end_ns: (second + 1) * SECOND_NS,
            last: &IntervalSummary {
                warmup,
                offered: Some(2000),
                response: summary(tally.histogram(Phase::Response)),
                open: 12,
                busiest_thread: 0.34,
                ..IntervalSummary::default()
            },
            tally: &tally,
            total: &total,
        });
    }
    timeline
}

/// 1998 responses of 0 to 2 ms, ten times that in every tenth second, and an occasional failure.
fn tally(second: u64, warmup: bool) -> Tally {
    let mut tally = Tally::default();
    let slow = if second % 10 == 5 { 10 } else { 1 };
    for request in 0..1998u64 {
        let worker = (request % 4).to_string();
        tally.start(Some(20_000));
        let took_ns = (request + 1) * 1000 * slow * if request > 1970 { 3 } else { 1 };
        let answer = Answer { status: 200, bytes: 100, worker: Some(worker.as_bytes()) };
        tally.complete(answer, Timestamps::default(), took_ns);
    }
    if second % 7 == 3 && !warmup {
        tally.fail(Failure::TimeoutBeforeResponse, String::new);
    }
    tally
}
