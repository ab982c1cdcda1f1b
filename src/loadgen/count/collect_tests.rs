//! In any order of batches, every interval is reported once and in order, and no request is lost.

use std::sync::Arc;
use std::sync::mpsc::channel;

use proptest::prelude::*;

use super::*;
use crate::loadgen::control::Interrupt;
use crate::loadgen::count::{Answer, Handoff, Recorder, Timestamps};
use crate::loadgen::schedule::Timing;

const MS: u64 = 1_000_000;
const ORIGIN: u64 = 7_000 * MS;

/// Requests of one thread: whether it belongs to the warm-up, and when it ends, in ms after the origin.
type Requests = Vec<(bool, u64)>;

fn requests() -> impl Strategy<Value = Requests> {
    prop::collection::vec((any::<bool>(), 0u64..2500), 0..30).prop_map(|mut requests| {
        requests.sort_by_key(|(_, end)| *end);
        // A request of the measured time cannot end before it begins.
        requests.into_iter().map(|(warmup, end)| (warmup || end < 300, end)).collect()
    })
}

/// The collector's result for `threads`, each of which ends 2.6 s after the origin.
fn collect(threads: &[Requests], order: &[usize]) -> (u64, Vec<IntervalSummary>) {
    let timing = Timing { warmup_ns: 300 * MS, duration_ns: Some(2000 * MS), ..Timing::default() };
    let plan = Plan { threads: threads.len(), interval_ns: 250 * MS, timing, ..Plan::default() };
    let control = Control::new(&plan, Arc::new(Interrupt::default()));
    let window = Window::new(&plan.timing, ORIGIN);
    let mut returns = Vec::new();
    let mut queues: Vec<VecDeque<Batch>> = Vec::new();
    for (share, requests) in plan.shares().iter().zip(threads) {
        let ((to, batches), (empty, back)) = (channel(), channel());
        returns.push(empty);
        let mut recorder = Recorder::new(&plan, share, window, Handoff { to, back });
        for (warmup, end) in requests {
            let answer = Answer { status: 200, bytes: 1, worker: None };
            let now = ORIGIN + end * MS;
            recorder.tally(!warmup, now).complete(answer, Timestamps::default(), 1);
        }
        recorder.finish(ORIGIN + 2600 * MS, 0, 0);
        queues.push(batches.into_iter().collect());
    }
    let mut collector = Collector::new(&plan, &control, returns);
    let mut seen = Vec::new();
    let mut observe = |snapshot: &Snapshot<'_>| seen.push((snapshot.begin_ns, snapshot.last.warmup));
    let turns = order.iter().map(|turn| turn % threads.len()).chain((0..threads.len()).cycle());
    for thread in turns {
        if queues.iter().all(VecDeque::is_empty) {
            break;
        }
        if let Some(batch) = queues[thread].pop_front() {
            collector.take(batch, &mut observe);
        }
    }
    let (total, summaries, _) = collector.finish(&mut observe);
    assert!(seen.is_sorted_by_key(|(begin, warmup)| (*begin, !warmup)), "{seen:?}");
    (total.completed, summaries)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn every_interval_comes_once_in_order_and_nothing_is_lost(
        threads in prop::collection::vec(requests(), 1..4), order in prop::collection::vec(0usize..4, 0..40),
    ) {
        let (total, intervals) = collect(&threads, &order);
        let all = || threads.iter().flatten();
        prop_assert_eq!(total, all().filter(|(warmup, _)| !warmup).count() as u64);
        for warmup in [true, false] {
            let of_kind = || intervals.iter().filter(move |interval| interval.warmup == warmup);
            let ended = all().filter(|(early, _)| *early == warmup).count() as u64;
            prop_assert_eq!(of_kind().map(|interval| interval.completed).sum::<u64>(), ended);
            for interval in of_kind() {
                let (begin, end) = (interval.begin_s * 1e3, interval.end_s * 1e3);
                let inside = |time: u64| (begin.round() as u64..end.round() as u64).contains(&time);
                let counted = all().filter(|(early, at)| *early == warmup && inside(*at)).count() as u64;
                prop_assert_eq!(interval.completed, counted, "{} to {} ms", begin, end);
            }
        }
        let measured: Vec<_> = intervals.iter().filter(|interval| !interval.warmup).collect();
        prop_assert!(measured.windows(2).all(|pair| pair[0].end_s == pair[1].begin_s));
        prop_assert!(measured.len() >= 8, "empty ones too");
    }
}
