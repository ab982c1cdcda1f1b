//! A server stalls for a second at a known time under a known rate: the figures of cursor, recorder and collector must
//! equal those computed by hand. The clock is virtual: only the accounting is tested.

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::control::{Control, Interrupt};
use super::count::{Answer, Collector, Handoff, Phase, Recorder, Tally, Timestamps};
use super::plan::Plan;
use super::schedule::{Arrivals, Cursor, RateSpec, Schedule, Timing, Window};
use crate::measure::histogram::Histogram;
use crate::measure::series::IntervalSummary;

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;
const ORIGIN: u64 = 5 * S;
/// Requests come every 10 ms and take 1 ms; the server stalls from 4 s to 5 s of the measured time.
const GAP: u64 = 10 * MS;
const SERVICE: u64 = MS;
const STALL: u64 = 4 * S;

/// When a request sent at `now` is answered, if the server stalls for 1 s at `from`.
fn answered(now: u64, from: u64) -> u64 {
    let to = from + S;
    if (from..to).contains(&now) { to + SERVICE } else { now + SERVICE }
}

/// 100 requests per second for 10 s after a warm-up of 1 s, on at most `connections`, against a server that stalls
/// `stall` after the origin.
fn simulate(connections: usize, stall: u64) -> (Tally, Vec<IntervalSummary>) {
    let profile = RateSpec::constant(100.0).profile(S, Some(10 * S));
    let schedule = Some(Schedule::Rate { arrivals: Arrivals::Const, profile, seed: 1 });
    let plan = Plan { connections, timing: Timing { schedule, ..Timing::default() }, ..Plan::default() };
    let control = Control::new(&plan, Arc::new(Interrupt::default()));
    let (share, window) = (&plan.shares()[0], Window::new(&plan.timing, ORIGIN));
    let (to, batches) = channel();
    let (empty, back) = channel();
    let mut cursor = Cursor::new(&plan.timing, share, window);
    let mut recorder = Recorder::new(&plan, share, window, Handoff { to, back });
    let mut open: Vec<(u64, Timestamps)> = Vec::new();
    let mut now = ORIGIN;
    while !(cursor.is_over && open.is_empty()) {
        recorder.tick(now);
        open.sort_by_key(|(end, _)| *end);
        while open.first().is_some_and(|(end, _)| *end <= now) {
            let (end, timestamps) = open.remove(0);
            let answer = Answer { status: 200, bytes: 1, worker: None };
            recorder.tally(timestamps.intended >= window.begin, end).complete(answer, timestamps, end);
        }
        while open.len() < share.connections
            && let Some(intended) = cursor.due(now)
        {
            cursor.take(intended);
            recorder.start(intended >= window.begin, intended, now, now >= intended + MS);
            let timestamps = Timestamps { intended, started: now, connected: now, first_byte: now };
            open.push((answered(now, ORIGIN + stall), timestamps));
        }
        now += MS;
    }
    let _ = recorder.finish(now, cursor.pass(now).1, 0);
    let mut collector = Collector::new(&plan, &control, vec![empty]);
    batches.into_iter().for_each(|batch| collector.take(batch, &mut |_| {}));
    let (total, intervals, _) = collector.finish(&mut |_| {});
    (total, intervals)
}

/// Response times of the 1000 measured requests by hand, ascending. Request k of the stall was due k gaps into it. One
/// request per connection is answered a service time after its end, and again every service time.
fn by_hand(connections: u64) -> Vec<u64> {
    let mut times: Vec<u64> = (0..1000)
        .map(|number| {
            let stalled = (number * GAP).checked_sub(STALL).map(|into| into / GAP);
            match stalled {
                // The last one is due when the stall ends, after all others.
                Some(k) if k < 100 || (k == 100 && connections < 100) => {
                    S + SERVICE * (1 + k / connections) - k * GAP
                }
                _ => SERVICE,
            }
        })
        .collect();
    times.sort_unstable();
    times
}

fn expect_percentiles(histogram: &Histogram, times: &[u64]) {
    assert_eq!(histogram.len(), times.len() as u64);
    for quantile in [0.5, 0.75, 0.9, 0.91, 0.95, 0.99, 0.999, 1.0] {
        let rank = (quantile * times.len() as f64).ceil() as usize;
        let (expected, found) = (times[rank - 1] as f64, histogram.value_at_quantile(quantile) as f64);
        assert!((found / expected - 1.0).abs() < 0.001, "{quantile}: {found}, by hand {expected}");
    }
    let mean = times.iter().sum::<u64>() as f64 / times.len() as f64;
    assert!((histogram.mean() / mean - 1.0).abs() < 0.001, "{} and {mean}", histogram.mean());
}

#[test]
fn with_enough_connections_the_response_times_are_those_by_hand() {
    let (total, _) = simulate(4096, S + STALL);
    expect_percentiles(total.histogram(Phase::Response), &by_hand(4096));
    assert_eq!((total.started, total.completed, total.held, total.unsent), (1000, 1000, 0, 0));
}

#[test]
fn with_too_few_connections_they_still_are_and_service_times_hide_the_stall() {
    let (total, _) = simulate(16, S + STALL);
    expect_percentiles(total.histogram(Phase::Response), &by_hand(16));
    let service = total.histogram(Phase::Service);
    assert_eq!(service.count_between(0, 2 * MS), 1000 - 16, "only the requests that were sent saw it");
    assert!(service.value_at_quantile(0.98) < 2 * MS);
    assert!(total.histogram(Phase::Response).value_at_quantile(0.98) > 700 * MS);
    assert_eq!(total.held, 85);
}

#[test]
fn the_intervals_show_the_stall_and_add_up_to_the_whole() {
    let (total, intervals) = simulate(4096, S + STALL);
    let completed: Vec<u64> = intervals.iter().map(|interval| interval.completed).collect();
    assert_eq!(completed, [100, 100, 100, 100, 100, 0, 200, 100, 100, 100, 100]);
    assert!(intervals.iter().all(|interval| interval.offered == Some(100) && interval.started == 100));
    assert_eq!(
        intervals.iter().map(|interval| interval.warmup).collect::<Vec<_>>(),
        [&[true][..], &[false; 10]].concat()
    );
    assert_eq!(completed[1..].iter().sum::<u64>(), total.completed);
    assert!(intervals.windows(2).all(|pair| pair[0].end_s == pair[1].begin_s));
}

#[test]
fn requests_of_the_warm_up_that_end_later_have_a_row_of_their_own() {
    let (total, intervals) = simulate(4096, S / 2);
    assert_eq!(total.completed, 1000);
    let row = |interval: &IntervalSummary| (interval.warmup, interval.begin_s, interval.completed);
    let first: Vec<_> = intervals.iter().take(4).map(row).collect();
    assert_eq!(first, [(true, 0.0, 50), (true, 1.0, 50), (false, 1.0, 100), (false, 2.0, 100)]);
    assert_eq!(intervals[1].offered, Some(0), "they were offered before");
}
