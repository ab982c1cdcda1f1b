//! Expectations: accepted and refused texts, and how records compare.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Expectation, String> {
    text.parse()
}

/// 1000 responses of 1 to 1000 ms, 10 failures, 5 of 1015 arrivals unsent.
fn record() -> RunRecord {
    let mut times = histogram::new();
    (1..=1000).for_each(|ms| histogram::record(&mut times, ms * 1_000_000));
    RunRecord {
        duration_s: 10.0,
        started: 1010,
        completed: 1000,
        rate: 100.0,
        unsent: 5,
        held: 203,
        errors: [("short-body".into(), 8), ("connect-refused".into(), 2)].into(),
        statuses: [("200".into(), 900), ("404".into(), 90), ("503".into(), 7), ("500".into(), 3)].into(),
        latency: [("response".into(), histogram::summary(&times))].into(),
        histograms: [("response".into(), histogram::encode(&times))].into(),
        ..RunRecord::default()
    }
}

fn holds(text: &str) -> bool {
    parse(text).unwrap().judge(&record()).holds
}

#[test]
fn times_are_compared_in_the_unit_that_was_written() {
    assert!(
        holds("p99<1s") && holds("p99<991.1ms") && !holds("p99<989ms") && holds("response.p99 > 989000us")
    );
    assert!(holds("p95<=951ms") && holds("p95>=949ms"), "a percentile that the summary does not have");
    assert!(
        holds("min<2ms") && holds("max>=1s") && holds("mean<501ms") && holds("p99.7<1s") && holds("p0<2ms")
    );
    let judged = parse("p50<0.6s").unwrap().judge(&record());
    assert!((judged.value.unwrap() - 0.5).abs() < 0.001, "{judged:?}");
    assert_eq!(judged.text, "p50<0.6s");
}

#[test]
fn counts_are_numbers_or_shares_of_what_could_have_counted() {
    assert!(holds("errors<1%") && holds("failed==10") && holds("errors!=9") && !holds("failed==0"));
    assert!(holds("errors.short-body==8") && holds("errors.early-end==0"));
    assert!(
        holds("status.404==90")
            && holds("status.5xx==10")
            && holds("status.5xx<=1%")
            && holds("status.4xx>8.9%")
    );
    assert!(holds("completed>=1000") && holds("completed>99%") && holds("started==1010"));
    assert!(holds("unsent<0.5%") && holds("held>=20%") && holds("unfinished==0"));
    assert!(holds("rate>99") && holds("rate<=100/s") && !holds("rate>100"));
}

#[test]
fn an_expectation_with_no_matching_requests_fails() {
    let nothing = RunRecord::default();
    for text in
        ["p99<1s", "connect.max<1s", "service.p95>0us", "errors<1%", "status.200>=0%", "rate<5", "unsent<1%"]
    {
        let judged = parse(text).unwrap().judge(&nothing);
        assert_eq!((judged.value, judged.holds), (None, false), "{text}");
    }
    assert!(parse("failed==0").unwrap().judge(&nothing).holds, "a count of none is a count");
}

#[test]
fn a_percentile_needs_three_requests_beyond_it() {
    let samples =
        ["p50<1s", "p90<1s", "p99<1s", "service.p99.9<1s", "p99.99<1s", "p100<1s", "max<1s", "errors<1%"];
    assert_eq!(samples.map(|text| parse(text).unwrap().sample()), [6, 30, 300, 3000, 30_000, 1, 1, 1]);
    let judged = parse("p99.9<9s").unwrap().judge(&record());
    assert_eq!((judged.holds, judged.value.is_some()), (false, true));
    assert_eq!(line(&judged), "p99.9<9s: FAILED (0.999; 1000 requests are too few: at least 3000)");
}

#[test]
fn errors_name_the_known_metrics() {
    for (text, what) in [
        ("p98", "METRIC"),
        ("p99=5ms", "comparisons"),
        ("latency<5ms", "first_byte"),
        ("p101<5ms", "no metric"),
        ("service<5ms", "no metric"),
        ("rate.p99<5ms", "no metric"),
        ("status.4<1", "no metric"),
        ("errors.nonsense==0", "connect-refused"),
        ("p99<5", "unit"),
        ("p99<5 min", "unit"),
        ("p99<", "number"),
        ("p99<-1ms", "number"),
        ("p99<1e3ms", "unit"),
        ("rate>1000rps", "per second"),
        ("errors<1ms", "share"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(what), "{text}: {error}");
    }
}

#[test]
fn an_objective_is_an_upper_bound_of_something_that_grows_with_load() {
    for text in ["p99<5ms", "errors<=1%", "failed==0", "status.5xx<1", "connect.p99<1ms", "held==0"] {
        assert!(parse(text).unwrap().is_upper_bound(), "{text}");
    }
    for text in ["p99>5ms", "rate<5", "completed<=5", "p50!=1ms", "failed==1", "errors>=1%"] {
        assert!(!parse(text).unwrap().is_upper_bound(), "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn arbitrary_text_of_the_right_letters_never_panics(text in "[a-z_p0-9.<>=!%]{0,24}") {
        if let Ok(expectation) = parse(&text) {
            let _ = expectation.judge(&record());
        }
    }

    #[test]
    fn what_was_parsed_parses_again_and_spaces_do_not_matter(
        percent in 0.0f64..100.0, value in 0.0f64..1e6, sign in 0usize..6, unit in 0usize..3,
    ) {
        let text = format!("p{percent}{}{value}{}", OPERATORS[sign].0, ["us", "ms", "s"][unit]);
        let parsed = parse(&text).unwrap();
        prop_assert_eq!(&parsed, &parse(&parsed.text).unwrap());
        prop_assert_eq!(&parsed, &parse(&format!(" p{percent} {} {value} {} ", OPERATORS[sign].0, ["us", "ms", "s"][unit])).unwrap());
    }

    #[test]
    fn a_bound_and_its_opposite_never_agree(bound_ms in 0u64..2000) {
        let (below, not) = (holds(&format!("p90<{bound_ms}ms")), holds(&format!("p90>={bound_ms}ms")));
        prop_assert_ne!(below, not);
        prop_assert_eq!(below, holds(&format!("p90<{}us", bound_ms * 1000)));
    }
}
