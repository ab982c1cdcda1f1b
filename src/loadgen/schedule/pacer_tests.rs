//! The schedule is ascending, divided exactly by its shards, true to the rate, and determined by the seed.

use super::*;
use crate::loadgen::schedule::RateSpec;
use proptest::prelude::*;

fn schedule(arrivals: Arrivals, rate: &str, seed: u64) -> Schedule {
    let spec = RateSpec::parse(rate).unwrap();
    let duration_ns = spec.length_ns().or(Some(10_000_000_000));
    Schedule::Rate { arrivals, profile: spec.profile(1_000_000_000, duration_ns), seed }
}

fn constant(rate: f64) -> Schedule {
    schedule(Arrivals::Const, &rate.to_string(), 0)
}

fn any_arrivals() -> impl Strategy<Value = Arrivals> {
    prop_oneof![Just(Arrivals::Const), Just(Arrivals::Poisson), (1u64..50).prop_map(Arrivals::Burst)]
}

fn any_rate() -> impl Strategy<Value = String> {
    prop_oneof![
        (0.1f64..1e6).prop_map(|rate| rate.to_string()),
        (0u32..5000, 1u32..5000).prop_map(|(from, to)| format!("{from}..{to}")),
        (1u32..5000, 0u32..5000, 1u32..5000).prop_map(|(a, b, c)| format!("{a},{b},{c}")),
        (1u32..5000, 0u32..5000, 1u32..9).prop_map(|(a, b, s)| format!("{a}@{s}s,{b}..{a}@1500ms")),
    ]
}

proptest! {
    #[test]
    fn starts_never_go_back(arrivals in any_arrivals(), rate in any_rate(), seed: u64, shards in 1u64..9) {
        for shard in 0..shards {
            let starts: Vec<u64> = schedule(arrivals, &rate, seed).shard(shard, shards).take(2000).collect();
            prop_assert!(starts.is_sorted());
        }
    }

    #[test]
    fn shards_of_numbered_arrivals_are_the_whole(rate in any_rate(), size in 1u64..20, shards in 1u64..9) {
        for arrivals in [Arrivals::Const, Arrivals::Burst(size)] {
            let whole = schedule(arrivals, &rate, 0);
            let mut dealt: Vec<u64> =
                (0..shards).flat_map(|shard| whole.shard(shard, shards).take(200)).collect();
            dealt.sort_unstable();
            prop_assert_eq!(dealt, whole.shard(0, 1).take(200 * shards as usize).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_intervals_do_not_drift(rate in 1f64..1e6, index in 0usize..100_000) {
        let start = constant(rate).shard(0, 1).nth(index).unwrap();
        prop_assert!((start as f64 - index as f64 / rate * 1e9).abs() <= 1.0 + start as f64 * 1e-12);
    }

    #[test]
    fn the_number_of_arrivals_is_the_integral_of_the_rate(rate in any_rate(), until_ms in 0u64..12_000) {
        let Schedule::Rate { profile, .. } = schedule(Arrivals::Const, &rate, 0) else { unreachable!() };
        let expected = profile.arrivals_before(until_ms as f64 / 1e3);
        prop_assume!(expected < 1e5);
        let pacer = schedule(Arrivals::Const, &rate, 0).shard(0, 1);
        let counted = pacer.take_while(|start| *start < until_ms * 1_000_000).count() as f64;
        prop_assert!((counted - expected).abs() <= 1.0 + 1e-6 * expected, "{} against {}", counted, expected);
    }

    #[test]
    fn measured_arrivals_have_their_numbers_whatever_the_number_of_shards(
        rate in any_rate(), size in 1u64..20, shards in 1u64..9, begin_ms in 0u64..3000,
    ) {
        let begin_ns = begin_ms * 1_000_000;
        for arrivals in [Arrivals::Const, Arrivals::Burst(size)] {
            let whole = schedule(arrivals, &rate, 0);
            let is_early = |start: &u64| *start < begin_ns;
            prop_assume!(whole.shard(0, 1).take_while(is_early).count() < 50_000);
            let mut numbered: Vec<(u64, u64)> = (0..shards)
                .flat_map(|shard| {
                    let numbers = (whole.rank(shard, shards, begin_ns)..).step_by(shards as usize);
                    numbers.zip(whole.shard(shard, shards).skip_while(is_early).take(50)).collect::<Vec<_>>()
                })
                .collect();
            numbered.sort_unstable();
            let expected = (0..).zip(whole.shard(0, 1).skip_while(is_early));
            prop_assert!(numbered.iter().copied().eq(expected.take(numbered.len())), "{numbered:?}");
        }
    }

    #[test]
    fn a_trace_is_replayed_whole_by_its_shards(
        mut times in prop::collection::vec(0u64..1_000_000, 2..60), shards in 1u64..9,
    ) {
        times.sort_unstable();
        times.push(times[times.len() - 1] + 1);
        let text: String = times.iter().map(|time| format!("0.{time:09}\n")).collect();
        let schedule = Schedule::Replay(Trace::parse(&text, 1.0).unwrap());
        let mut dealt: Vec<u64> = (0..shards).flat_map(|shard| schedule.shard(shard, shards)).collect();
        dealt.sort_unstable();
        prop_assert_eq!(dealt, times.iter().map(|time| time - times[0]).collect::<Vec<_>>());
    }
}

#[test]
fn the_seed_decides_and_shards_differ() {
    let take =
        |seed, shard| schedule(Arrivals::Poisson, "1000", seed).shard(shard, 2).take(100).collect::<Vec<_>>();
    assert_eq!(take(1, 0), take(1, 0));
    assert_ne!(take(1, 0), take(2, 0));
    assert_ne!(take(1, 0), take(1, 1));
}

#[test]
fn bursts_come_at_once_and_keep_the_mean_rate() {
    let starts: Vec<u64> = schedule(Arrivals::Burst(5), "100", 0).shard(0, 1).take(15).collect();
    assert_eq!(starts, [[0; 5], [50_000_000; 5], [100_000_000; 5]].concat());
}

#[test]
fn poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() {
    let starts: Vec<u64> = schedule(Arrivals::Poisson, "1000", 7).shard(0, 1).take(100_000).collect();
    let intervals: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
    let variance =
        intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / intervals.len() as f64;
    assert!((mean / 1e6 - 1.0).abs() < 0.02, "mean {mean}");
    assert!(
        (variance.sqrt() / mean - 1.0).abs() < 0.02,
        "coefficient of variation {}",
        variance.sqrt() / mean
    );
}

#[test]
fn poisson_arrivals_follow_a_ramp_in_every_tenth_of_it() {
    // The integral of 0..2000 over 10 s: 10,000 arrivals, of which tenth k has 100 (2k + 1); 5 standard deviations.
    let shards: Vec<u64> = (0..4)
        .flat_map(|shard| {
            schedule(Arrivals::Poisson, "0..2000", 3).shard(shard, 4).take_while(|s| *s < 11_000_000_000)
        })
        .collect();
    for tenth in 0..10u64 {
        let range = (tenth + 1) * 1_000_000_000..(tenth + 2) * 1_000_000_000;
        let expected = 100.0 * (2 * tenth + 1) as f64;
        let counted = shards.iter().filter(|start| range.contains(*start)).count() as f64;
        assert!(
            (counted - expected).abs() < 5.0 * expected.sqrt(),
            "tenth {tenth}: {counted}, not {expected}"
        );
    }
}

#[test]
fn kinds_of_arrivals_are_read_as_they_are_named() {
    for text in ["const", "poisson", "burst:10"] {
        assert_eq!(Arrivals::parse(text).unwrap().name(), text);
    }
    for text in ["", "burst", "burst:", "burst:0", "burst:x", "Poisson", "const:1"] {
        assert!(Arrivals::parse(text).is_err(), "{text}");
    }
}
