//! Records that belong together are merged into the figures of the whole; others are refused with the reason.

use super::*;
use crate::loadgen::output::text::text;
use crate::measure::record::ArrivalsTest;
use crate::measure::series::Incident;
use proptest::prelude::*;

fn record(shard: &str, times_ns: &[u64], duration_s: f64) -> RunRecord {
    let mut response = histogram::new();
    times_ns.iter().for_each(|time| histogram::record(&mut response, *time));
    let completed = times_ns.len() as u64;
    RunRecord {
        plan: record::Plan {
            url: "http://h/".into(),
            model: "open".into(),
            connections: 10,
            rate: Some(100.0),
            profile: Some("200".into()),
            arrivals: Some("poisson".into()),
            shard: shard.into(),
            seed: 1,
            duration_s: 10.0,
            ..record::Plan::default()
        },
        duration_s,
        completed,
        rate: completed as f64 / duration_s,
        offered_rate: Some(100.0),
        workers: [("0".to_owned(), completed)].into(),
        latency: [("response".to_owned(), histogram::summary(&response))].into(),
        histograms: [("response".to_owned(), histogram::encode(&response))].into(),
        arrivals_test: Some(ArrivalsTest { statistic: duration_s, ..ArrivalsTest::default() }),
        verdict: "OK".into(),
        ..RunRecord::default()
    }
}

fn pair() -> [Named; 2] {
    [("a".into(), record("1/2", &[1_000_000; 30], 10.0)), ("b".into(), record("2/2", &[9_000_000; 10], 5.0))]
}

#[test]
fn rates_are_those_of_each_source_over_its_own_duration() {
    let (merged, _) = merge(&pair(), vec![]).unwrap();
    assert_eq!((merged.completed, merged.rate, merged.offered_rate), (40, 3.0 + 2.0, Some(200.0)));
    assert_eq!((merged.plan.rate, merged.plan.connections, merged.duration_s), (Some(200.0), 20, 10.0));
    assert_eq!(merged.workers["0"], 40);
    assert_eq!(merged.arrivals_test.unwrap().statistic, 10.0, "the worse one");
    assert_eq!(merged.sources.iter().map(|source| source.completed).collect::<Vec<_>>(), [30, 10]);
}

#[test]
fn percentiles_come_from_the_merged_histogram() {
    let (merged, response) = merge(&pair(), vec![]).unwrap();
    let near = |us: f64, expected: f64| (us / expected - 1.0).abs() < 0.001;
    assert!(near(merged.latency["response"].p50_us, 1000.0), "three of four took 1 ms");
    assert!(near(merged.latency["response"].p90_us, 9000.0));
    assert_eq!((response.len(), merged.latency["response"].count), (40, 40));
}

#[test]
fn the_parts_of_one_plan_fit() {
    assert_eq!(misfits(&pair()), Vec::<String>::new());
}

#[test]
fn differences_are_named() {
    let check = |change: fn(&mut RunRecord), why: &str| {
        let mut records = pair();
        change(&mut records[1].1);
        let found = misfits(&records);
        assert!(found.iter().any(|found| found.contains(why)), "{why}: {found:?}");
    };
    check(|other| other.plan.url = "http://x/".into(), "the target is http://h/ in a and http://x/ in b");
    check(|other| other.plan.seed = 2, "the seed is 1 in a and 2 in b");
    check(|other| other.plan.profile = None, "the rate is 200 in a and none in b");
    check(|other| other.plan.shard = "1/2".into(), "both shard 1/2");
    check(|other| other.plan.shard = "1/2".into(), "missing: 2");
    check(|other| other.plan.shard = "2/3".into(), "number of shards");
    check(
        |other| other.plan.keep_alive = true,
        "the use of connections is new connection per request in a and connections kept in b",
    );
    check(
        |other| other.plan.client_closes = true,
        "and new connection per request, closed by the client in b",
    );
    check(|other| other.plan.requests_per_connection = Some(3), "and 3 requests per connection in b");
    check(
        |other| other.plan.think = Some("const(1s)".into()),
        "the think time is none in a and const(1s) in b",
    );
    check(
        |other| other.plan.occupy = Some("exp(1ms)".into()),
        "the time to take (--occupy) is none in a and exp(1ms) in b",
    );
    check(|other| other.clock.start_unix_s = 2.0, "started 2.0 s apart");
    assert!(misfits(&pair()[..1])[0].contains("missing: 2"));
}

#[test]
fn the_verdict_is_the_worst_and_keeps_its_reasons() {
    let mut records = pair();
    records[1].1.verdict = "CLIENT-BOUND".into();
    records[1].1.reasons = vec!["busy".into()];
    let (merged, _) = merge(&records, vec![]).unwrap();
    assert_eq!((merged.verdict.as_str(), merged.reasons), ("CLIENT-BOUND", vec!["b: busy".to_owned()]));
    let (forced, _) = merge(&pair(), vec!["odd".into()]).unwrap();
    assert_eq!((forced.verdict.as_str(), forced.reasons), ("INVALID", vec!["odd".to_owned()]));
    records[0].1.verdict = "what?".into();
    assert_eq!(merge(&records, vec![]).unwrap().0.verdict, "INVALID");
}

#[test]
fn sums_do_not_overflow() {
    let mut records = pair();
    for (_, record) in &mut records {
        (record.completed, record.plan.connections, record.plan.requests) =
            (u64::MAX, u64::MAX, Some(u64::MAX));
        record.connections =
            record::Connections { opened: u64::MAX, syn_retransmits: [u64::MAX; 4], ..Default::default() };
        record.statuses = [("200".to_owned(), u64::MAX)].into();
        record.errors = ["early-end", "short-body"].map(|kind| (kind.to_owned(), u64::MAX)).into();
        record.workers = ["0", "1"].map(|name| (name.to_owned(), u64::MAX)).into();
        (record.incidents, record.incidents_left_out) = (vec![Incident::default()], u64::MAX);
    }
    let (merged, _) = merge(&records, vec![]).unwrap();
    assert!(
        text(&merged, 80).contains("workers    0: 18446744073709551615 (50.0 %)"),
        "{}",
        text(&merged, 80)
    );
    assert_eq!(
        (merged.completed, merged.plan.requests, merged.statuses["200"]),
        (u64::MAX, Some(u64::MAX), u64::MAX)
    );
}

#[test]
fn a_broken_histogram_is_named_by_its_file() {
    let mut records = pair();
    records[1].1.histograms.insert("response".into(), "?".into());
    assert!(merge(&records, vec![]).unwrap_err().starts_with("b: "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_merged_percentiles_are_those_of_all_times_in_one_record(
        parts in prop::collection::vec(prop::collection::vec(1u64..10_000_000_000, 1..50), 1..6),
    ) {
        let of = parts.len();
        let name = |index: usize| format!("{}/{of}", index + 1);
        let records: Vec<Named> =
            parts.iter().enumerate().map(|(index, times)| (name(index), record(&name(index), times, 1.0))).collect();
        prop_assert_eq!(misfits(&records), Vec::<String>::new());
        let (merged, _) = merge(&records, vec![]).unwrap();
        let whole = record("1/1", &parts.concat(), 1.0);
        prop_assert_eq!(&merged.latency, &whole.latency);
        prop_assert_eq!(merged.rate, whole.rate);
    }
}
