//! Every branch of the judgement on known values, and how often it errs, by simulation.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::*;
use crate::lab::fixture;
use crate::lab::fixture::rich::Rich;
use crate::lab::judge::losses::Effect;
use crate::lab::judge::{Conclusion, judge};
use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::{Expect, Metric};
use crate::measure::stats::Block;

use Outcome::{Contradicted, Holds, NotJudged};

fn change(change: f64, low: f64, high: f64) -> Comparison {
    let block = Block { treated: 0.0, control: 0.0, twin: None };
    let mut comparison = Comparison::of(Metric::Rate, &[block], 5.0).unwrap();
    (comparison.change, comparison.interval) = (change, Interval { low, high });
    comparison
}

#[test]
fn a_difference_holds_with_its_sign_and_its_size_within_the_factor() {
    for (kept, new, outcome, why) in [
        (10.0, (10.0, 8.0, 12.0), Holds, ""),
        (10.0, (7.0, 2.0, 12.0), Holds, ""),
        (-10.0, (-15.0, -30.0, -6.0), Holds, ""),
        (10.0, (8.0, -2.0, 15.0), NotJudged, "the new interval holds no change, too"),
        (
            10.0,
            (4.0, -3.0, 11.0),
            NotJudged,
            "the new interval is too wide to say: 0.40 times the kept change",
        ),
        (10.0, (30.0, 15.0, 40.0), NotJudged, "too wide to say: 3.00 times"),
        (10.0, (-8.0, -12.0, -4.0), Contradicted, "the opposite sign"),
        (-10.0, (8.0, 4.0, 12.0), Contradicted, "the opposite sign"),
        (
            10.0,
            (2.0, 1.0, 3.0),
            Contradicted,
            "0.20 times the kept change, which is not within a factor of 2",
        ),
        (10.0, (0.0, -2.0, 2.0), Contradicted, "0.00 times the kept change"),
        (10.0, (40.0, 30.0, 50.0), Contradicted, "4.00 times the kept change"),
        // 108 times as much, and 11 times.
        (10_700.0, (1000.0, 900.0, 1100.0), Contradicted, "0.09 times"),
    ] {
        let kept = change(kept, kept, kept);
        let (got, said) = difference(&kept, &change(new.0, new.1, new.2), 2.0);
        assert!(
            got == outcome && said.contains(why) && said.is_empty() == (got == Holds),
            "{new:?}: {got:?} {said}"
        );
    }
    let wider = difference(&change(10.0, 8.0, 12.0), &change(40.0, 30.0, 50.0), 5.0);
    assert_eq!(wider.0, Holds, "the factor is a choice");
}

#[test]
fn an_equivalence_holds_within_its_limit_and_with_an_interval_that_says_something() {
    for (new, outcome) in [
        ((1.0, -2.0, 4.0), Holds),
        ((3.0, -1.0, 7.0), Holds),
        ((3.0, -6.0, 12.0), NotJudged),
        ((6.0, 4.0, 8.0), NotJudged),
        ((8.0, 6.0, 10.0), Contradicted),
        ((-8.0, -10.0, -6.0), Contradicted),
    ] {
        assert_eq!(equivalence(5.0, &change(new.0, new.1, new.2), 2.0).0, outcome, "{new:?}");
    }
}

fn lost(hit: u64, faults: u64) -> Losses {
    let effects = (0..faults).map(|n| Effect { reset: u64::from(n < hit), ..Effect::default() }).collect();
    Losses { effects, ..Losses::default() }
}

#[test]
fn none_in_n_faults_is_compatible_with_a_count_or_not() {
    let outside = Losses { outside: 3, ..lost(0, 300) };
    let superseded = Losses { superseded: true, ..outside.clone() };
    for (kept, new, outcome, why) in [
        (lost(0, 300), lost(0, 300), Holds, ""),
        (lost(0, 300), lost(0, 150), Holds, ""),
        (lost(0, 10), lost(1, 10), Holds, ""),
        (lost(0, 300), lost(5, 300), NotJudged, "crosses the limit"),
        (lost(0, 300), lost(20, 300), Contradicted, "20 of 300 faults took a connection"),
        (lost(0, 300), lost(3, 3), Contradicted, "3 of 3 faults"),
        (lost(0, 300), lost(0, 20), NotJudged, "20 faults are too few"),
        (lost(0, 300), lost(0, 0), NotJudged, "no fault happened"),
        (lost(0, 300), outside, NotJudged, "3 failed without a fault"),
        (lost(0, 300), superseded, NotJudged, "does not tell what failed by a fault"),
    ] {
        let (got, said) = none(&kept, &new, 2.0);
        assert!(got == outcome && said.contains(why), "{new:?}: {got:?} {said}");
    }
}

#[test]
fn growth_stays_within_its_limit_or_not() {
    let trend = |per_day, low, high| Trend {
        name: "p50",
        unit: "ms",
        digits: 2,
        period: "all the time",
        median: 1.0,
        per_day,
        interval: Interval { low, high },
        limit: 1.0,
    };
    let kept = trend(0.1, -0.2, 0.4);
    for (new, outcome) in [
        (trend(0.2, -9.0, 0.9), Holds),
        (trend(0.9, 0.5, 1.4), NotJudged),
        (trend(1.2, 0.5, 1.9), NotJudged),
        (trend(3.0, 2.0, 4.0), Contradicted),
    ] {
        assert_eq!(growth(&kept, &new).0, outcome, "{new:?}");
    }
}

/// The quick experiment with a claim: reuseport has 1/1.1 of the rate of the others.
fn with_claim(size: Option<&str>, direction: &str, own: bool) -> Data {
    let mut data = fixture::quick(12);
    data.spec.expect = vec![Expect {
        claim: "X1".into(),
        metric: "rate".into(),
        of: "reuseport".into(),
        over: Some("inherited".into()),
        load: "full load".into(),
        same_size: size.map(|band| band.parse().unwrap()),
        same_direction: Some(direction.parse().unwrap()),
        own,
        ..Expect::default()
    }];
    data
}

/// Runs of reuseport under full load with this share of their rate.
fn slower(mut data: Data, share: f64) -> Data {
    let own = |run: &&mut RunData| run.cell == "reuseport" && run.load == "full load";
    data.runs.iter_mut().filter(own).for_each(|run| run.record.as_mut().unwrap().rate *= share);
    data
}

#[test]
fn the_verdict_on_a_claim_holds_where_the_new_interval_is_in_the_same_range() {
    let tested = |size, direction: &str, own, share: f64| {
        let kept = judge(&with_claim(size, direction, own));
        let new = judge(&slower(with_claim(size, direction, own), share));
        let tested = conclusions(&kept)[0].against(&new, 2.0);
        assert!(tested.about.starts_with("X1, rate of reuseport / inherited"), "{tested:?}");
        (tested.says, tested.outcome)
    };
    let size = Some("0.85..0.95");
    for (size, direction, own, share, says, outcome) in [
        (size, "<= 0.98", false, 1.0, "same size", Holds),
        (size, "<= 0.98", false, 0.8, "same size", Contradicted),
        (size, "<= 0.98", false, 0.94, "same size", NotJudged),
        (None, "<= 0.98", false, 0.8, "same direction", Holds),
        (None, "<= 0.98", false, 1.2, "same direction", Contradicted),
        (None, ">= 1", false, 1.0, "contradicted", Holds),
        (None, ">= 1", false, 1.3, "contradicted", Contradicted),
        (None, "<= 0.98", true, 1.0, "own finding: holds", Holds),
        (None, "<= 0.98", true, 1.2, "own finding: holds", Contradicted),
        (None, ">= 1", true, 1.3, "own finding: does not hold", Contradicted),
    ] {
        let got = tested(size, direction, own, share);
        assert_eq!(got, (says.to_owned(), outcome), "{size:?} {direction} {own} {share}");
    }
    let kept = judge(&with_claim(None, "<= 0.98", false));
    let claim = &conclusions(&kept)[0];
    let few = claim
        .against(&judge(&Data { spec: with_claim(None, "<= 0.98", false).spec, ..fixture::quick(4) }), 2.0);
    assert!(few.outcome == NotJudged && few.why.starts_with("too few rounds to judge (4"), "{few:?}");
    let gone = claim.against(&judge(&fixture::quick(12)), 2.0);
    assert_eq!((gone.outcome, gone.why.as_str()), (NotJudged, "the new results do not test it"));
}

#[test]
fn what_the_new_results_lack_is_named() {
    let kept = judge(&fixture::quick(12));
    let all = conclusions(&kept);
    let about: Vec<&str> = all.iter().map(|kept| kept.about.as_str()).collect();
    assert_eq!(about[..2], ["reuseport under full load, Rate", "round-robin under full load, Rate"]);
    assert_eq!([&all[0].says, &all[1].says], ["differs", "equivalent within 5 %"]);
    let against = |change: &dyn Fn(&mut Data)| {
        let mut new = fixture::quick(12);
        change(&mut new);
        let tested = all[0].against(&judge(&new), 2.0);
        (tested.outcome, tested.why, tested.new.is_some())
    };
    let own = |data: &mut Data, with: &dyn Fn(&mut RunData)| {
        data.runs.iter_mut().filter(|run| run.round > 0 && run.cell == "reuseport").for_each(with);
    };
    assert_eq!(against(&|_| ()), (Holds, String::new(), true));
    let (outcome, why, shown) = against(&|data| *data = fixture::quick(4));
    assert_eq!((outcome, why.as_str(), shown), (NotJudged, "too few rounds (4 of 10)", true));
    let (outcome, why, _) = against(&|data| {
        own(data, &|run| (run.record, run.skipped) = (None, Some("this kernel lacks it".into())));
    });
    assert_eq!((outcome, why.as_str()), (NotJudged, "this kernel lacks it"));
    let (outcome, why, _) = against(&|data| own(data, &fixture::void));
    assert!(
        outcome == NotJudged && why.starts_with("12 of 12 runs are void; the first: caffeine died"),
        "{why}"
    );
    let (outcome, why, _) = against(&|data| {
        own(data, &|run| run.record.as_mut().unwrap().verdict = "CLIENT-BOUND".into());
    });
    assert_eq!((outcome, why.as_str()), (NotJudged, "the load generator was the limit"));
    let (outcome, why, _) = against(&|data| data.spec.load[0].name = "other".into());
    assert_eq!((outcome, why.as_str()), (NotJudged, "the new results do not have it"));
    let (outcome, why, _) = against(&|data| data.spec.load[0].primary = Some("server_cpu_us".into()));
    assert_eq!((outcome, why.as_str()), (NotJudged, "the new results judge another metric"));
    let reversed = slower(fixture::quick(12), 1.3);
    let tested = all[0].against(&judge(&reversed), 2.0);
    assert_eq!((tested.outcome, tested.why.as_str()), (Contradicted, "the opposite sign"));
}

#[test]
fn faults_without_a_loss_are_conclusions_in_older_layouts_too() {
    let data = || {
        let (faults, listeners) = (vec!["none", "stop@1s+500ms"], vec!["inherited", "reuseport"]);
        let rich = Rich {
            rounds: 2,
            faults,
            listeners,
            peers: Vec::new(),
            closed: false,
            open: vec![400],
            ..Rich::default()
        };
        let mut data = rich.data();
        for record in data.runs.iter_mut().filter_map(|run| run.record.as_mut()) {
            record.errors.clear();
            record.incidents.clear();
        }
        data
    };
    let mut older = data();
    for record in older.runs.iter_mut().filter_map(|run| run.record.as_mut()) {
        record.plan.slow_s = None;
    }
    let kept = judge(&older);
    let all = conclusions(&kept);
    assert_eq!(all[0].about, "inherited, stop@1s+500ms, connections reset or lost");
    // Nothing else is concluded from two rounds.
    assert!(all.len() == 2 && all.iter().all(|kept| kept.says == "none in 2 faults"));
    let new = judge(&data());
    assert!(all.iter().all(|kept| kept.against(&new, 2.0).outcome == Holds));
    let mut lossy = data();
    let own = |run: &&mut RunData| run.cell.starts_with("inherited stop");
    for record in lossy.runs.iter_mut().filter(own).filter_map(|run| run.record.as_mut()) {
        record.errors.insert("early-end".into(), 1);
        record.plan.slow_s = None;
    }
    let tested = all[0].against(&judge(&lossy), 2.0);
    assert_eq!(tested.outcome, NotJudged, "{tested:?}");
    let mut other = data();
    other.spec.factors.fault[1] = Some("stop@1s+600ms".parse().unwrap());
    assert_eq!(all[0].against(&judge(&other), 2.0).outcome, NotJudged);
}

/// Twelve rounds of a strategy that differs by this much, on a machine where two runs differ by 5 %. It is one of eight comparisons.
fn simulated(effect: f64, seed: u64) -> Comparison {
    const SD: f64 = 0.05 / std::f64::consts::SQRT_2;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut value = |shift: f64| -> f64 {
        let noise: f64 = StandardNormal.sample(&mut random);
        SD * noise + shift
    };
    let mut block = |_| Block { treated: value(effect.ln_1p()), control: value(0.0), twin: Some(value(0.0)) };
    let blocks: Vec<Block> = (0..12).map(&mut block).collect();
    let mut comparison = Comparison::of(Metric::Rate, &blocks, 5.0).unwrap();
    comparison.conclusion = match () {
        () if comparison.p * 8.0 < 0.05 => Conclusion::Differs,
        () if comparison.is_small() => Conclusion::Equivalent,
        () => Conclusion::Open,
    };
    comparison
}

/// Of 500 pairs of experiments: conclusions of the first, and of them how many the second contradicts and upholds.
fn pairs(first: f64, second: f64) -> [usize; 3] {
    let one = |seed: u64| {
        let (kept, new) = (simulated(first, seed), simulated(second, seed + 1_000_000));
        let outcome = match kept.conclusion {
            Conclusion::Differs => difference(&kept, &new, 2.0).0,
            Conclusion::Equivalent => equivalence(5.0, &new, 2.0).0,
            _ => return [0; 3],
        };
        [1, usize::from(outcome == Contradicted), usize::from(outcome == Holds)]
    };
    let add = |a: [usize; 3], b: [usize; 3]| [0, 1, 2].map(|at| a[at] + b[at]);
    (0..500_u64).into_par_iter().map(one).reduce(|| [0; 3], add)
}

#[test]
fn the_same_truth_twice_is_rarely_contradicted_and_a_reversal_is_found() {
    for effect in [0.0, 0.02, 0.05, 0.1, 0.2, 1.0, -0.5, 100.0] {
        let [concluded, contradicted, held] = pairs(effect, effect);
        println!("{effect}: of {concluded} conclusions {contradicted} are contradicted and {held} hold");
        assert!(contradicted * 100 <= concluded.max(200), "{effect}: {contradicted} of {concluded}");
        assert!(effect.abs() < 0.2 || held * 10 >= concluded * 9, "{effect}: {held} of {concluded} hold");
    }
    for (first, second) in [(0.1, -0.1), (0.2, 0.0), (1.0, 0.2), (0.0, 0.15)] {
        let [concluded, contradicted, _] = pairs(first, second);
        println!("{first}, then {second}: of {concluded} conclusions {contradicted} are contradicted");
        assert!(
            concluded > 100 && contradicted * 10 >= concluded * 9,
            "{first}, then {second}: {contradicted} of {concluded}"
        );
    }
}
