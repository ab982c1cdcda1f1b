//! Claims on data with known values.

use super::*;
use crate::lab::fixture;
use crate::lab::judge::judge;

fn expectation(metric: &str, of: &str, over: Option<&str>, reproduced: &str) -> Expect {
    Expect {
        claim: "X1".into(),
        text: "reuseport is slower".into(),
        source: "none".into(),
        published: "0.9".into(),
        metric: metric.into(),
        of: of.into(),
        over: over.map(str::to_owned),
        load: "full load".into(),
        pick: [("workers".to_owned(), "4".to_owned())].into(),
        over_where: [].into(),
        reproduced: reproduced.parse().unwrap(),
    }
}

/// The result of an expectation on the quick experiment, in which reuseport has 1/1.1 of the rate of the
/// others.
fn tried(rounds: u32, expect: Expect, change: impl Fn(&mut RunData)) -> Claim {
    let mut data = fixture::quick(rounds);
    data.spec.expect = vec![expect];
    data.runs.iter_mut().for_each(change);
    judge(&data).claims.remove(0)
}

#[test]
fn a_ratio_inside_outside_and_astride_its_band() {
    for (band, verdict) in [
        ("0.85..0.95", ClaimVerdict::Reproduced),
        ("<= 0.95", ClaimVerdict::Reproduced),
        (">= 1", ClaimVerdict::NotReproduced),
        ("0.91..2", ClaimVerdict::Undecided),
    ] {
        let claim = tried(12, expectation("rate", "reuseport", Some("inherited"), band), |_| ());
        assert_eq!(claim.verdict, verdict, "{band}: {claim:?}");
        assert_eq!(claim.rounds, 12);
        assert_eq!(claim.figure(), "rate of reuseport / inherited, full load");
    }
}

#[test]
fn a_value_without_a_comparison_is_judged_itself() {
    let claim = tried(10, expectation("response_p50_ms", "inherited", None, "5..12"), |_| ());
    assert_eq!((claim.verdict, claim.unit()), (ClaimVerdict::Reproduced, "ms"));
    assert!(claim.ours.unwrap().interval.contains(claim.ours.unwrap().median));
}

#[test]
fn few_rounds_leave_it_undecided() {
    let claim = tried(4, expectation("rate", "reuseport", Some("inherited"), "<= 0.95"), |_| ());
    assert_eq!(claim.verdict, ClaimVerdict::Undecided);
    assert_eq!(claim.why, "too few rounds to judge (4 of 10)");
}

#[test]
fn what_was_skipped_or_void_or_client_bound_is_not_on_this_machine() {
    let expect = || expectation("rate", "reuseport", Some("inherited"), "<= 0.95");
    let theirs = |run: &RunData| run.cell == "reuseport";
    let claim = tried(10, expect(), |run| {
        if theirs(run) {
            (run.record, run.skipped) = (None, Some("this kernel lacks it".into()));
        }
    });
    assert_eq!((claim.verdict, claim.why.as_str()), (ClaimVerdict::NotHere, "this kernel lacks it"));
    let claim = tried(10, expect(), |run| {
        if theirs(run) && run.round > 3 {
            fixture::void(run);
        }
    });
    assert_eq!(claim.verdict, ClaimVerdict::NotHere);
    assert!(claim.why.starts_with("only 3 rounds can be used (INVALID: caffeine died"), "{}", claim.why);
    let claim = tried(10, expect(), |run| run.record.as_mut().unwrap().verdict = "CLIENT-BOUND".into());
    assert!(claim.verdict == ClaimVerdict::NotHere && claim.why.contains("CLIENT-BOUND"), "{claim:?}");
}

#[test]
fn the_worst_of_several_expectations_is_the_claims() {
    let of = |band: &str| tried(12, expectation("rate", "reuseport", Some("inherited"), band), |_| ());
    let all = [of("<= 0.95"), of(">= 1"), of("0.91..2")];
    assert_eq!(together(&all), Some(ClaimVerdict::NotReproduced));
    assert_eq!(together(&all[..1]), Some(ClaimVerdict::Reproduced));
    assert_eq!(together(&[]), None);
}
