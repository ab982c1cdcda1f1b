//! Claims on data with known values.

use super::*;
use crate::lab::fixture;
use crate::lab::judge::judge;

fn expectation(metric: &str, of: &str, over: Option<&str>, same_direction: &str) -> Expect {
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
        same_direction: Some(same_direction.parse().unwrap()),
        ..Expect::default()
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

fn size(band: &str, expect: Expect) -> Expect {
    Expect { same_size: Some(band.parse().unwrap()), ..expect }
}

fn own(expect: Expect) -> Expect {
    Expect { own: true, ..expect }
}

#[test]
fn a_ratio_has_the_size_or_the_direction_or_contradicts_or_is_astride() {
    let ratio = |direction: &str| expectation("rate", "reuseport", Some("inherited"), direction);
    for (expect, verdict) in [
        (size("0.85..0.95", ratio("<= 0.98")), ClaimVerdict::SameSize),
        (size("0.5..0.6", ratio("<= 0.98")), ClaimVerdict::SameDirection),
        (size("0.91..2", ratio("<= 0.98")), ClaimVerdict::SameDirection),
        (ratio("<= 0.95"), ClaimVerdict::SameDirection),
        (size("1..2", ratio(">= 1")), ClaimVerdict::Contradicted),
        (ratio("0.91..2"), ClaimVerdict::Undecided),
        (own(ratio("<= 0.95")), ClaimVerdict::OwnHolds),
        (own(ratio(">= 1")), ClaimVerdict::OwnFails),
        (own(ratio("0.91..2")), ClaimVerdict::Undecided),
    ] {
        let text = format!("{expect:?}");
        let claim = tried(12, expect, |_| ());
        assert_eq!(claim.verdict, verdict, "{text}: {claim:?}");
        assert_eq!(claim.rounds, 12);
        assert_eq!(claim.figure(), "rate of reuseport / inherited, full load");
    }
}

#[test]
fn what_cannot_be_tested_here_is_shown_and_not_judged() {
    let expect = Expect {
        not_testable: Some("a server of many cores".into()),
        ..expectation("rate", "reuseport", Some("inherited"), ">= 1")
    };
    let claim = tried(12, expect, |_| ());
    assert_eq!((claim.verdict, claim.why.as_str()), (ClaimVerdict::NotTestable, "a server of many cores"));
    assert!(claim.ours.is_some());
}

#[test]
fn one_range_of_an_older_file_is_a_size_if_it_has_two_ends() {
    let older = |band: &str| {
        let text = format!(
            "claim = 'X1'\ntext = ''\nsource = ''\npublished = ''\nmetric = 'rate'\nof = 'reuseport'\nover = 'inherited'\n\
             load = 'full load'\nwhere = {{ workers = 4 }}\nreproduced = '{band}'"
        );
        tried(12, toml::from_str(&text).unwrap(), |_| ()).verdict
    };
    assert_eq!(older("0.85..0.95"), ClaimVerdict::SameSize);
    assert_eq!(older("<= 0.95"), ClaimVerdict::SameDirection);
    assert_eq!(older(">= 1"), ClaimVerdict::Contradicted);
}

#[test]
fn a_value_without_a_comparison_is_judged_itself() {
    let claim = tried(10, expectation("response_p50_ms", "inherited", None, "5..12"), |_| ());
    assert_eq!((claim.verdict, claim.unit()), (ClaimVerdict::SameDirection, "ms"));
    assert!(claim.ours.unwrap().interval.contains(claim.ours.unwrap().median));
}

#[test]
fn few_rounds_leave_it_undecided() {
    let claim = tried(4, expectation("rate", "reuseport", Some("inherited"), "<= 0.95"), |_| ());
    assert_eq!(claim.verdict, ClaimVerdict::Undecided);
    assert_eq!(claim.why, "too few rounds to judge (4 of 10)");
}

#[test]
fn what_was_skipped_or_void_or_client_bound_is_not_testable_here() {
    let expect = || expectation("rate", "reuseport", Some("inherited"), "<= 0.95");
    let theirs = |run: &RunData| run.cell == "reuseport";
    let claim = tried(10, expect(), |run| {
        if theirs(run) {
            (run.record, run.skipped) = (None, Some("this kernel lacks it".into()));
        }
    });
    assert_eq!((claim.verdict, claim.why.as_str()), (ClaimVerdict::NotTestable, "this kernel lacks it"));
    let claim = tried(10, expect(), |run| {
        if theirs(run) && run.round > 3 {
            fixture::void(run);
        }
    });
    assert_eq!(claim.verdict, ClaimVerdict::NotTestable);
    assert!(claim.why.starts_with("only 0 rounds can be used (INVALID: caffeine died"), "{}", claim.why);
    let claim = tried(10, expect(), |run| run.record.as_mut().unwrap().verdict = "CLIENT-BOUND".into());
    assert!(claim.verdict == ClaimVerdict::NotTestable && claim.why.contains("CLIENT-BOUND"), "{claim:?}");
}
