//! Cards of all rules, and of whole fixtures.

use super::cases_tests::cases;
use super::findings::Findings;
use super::words::card;
use super::*;
use crate::lab::fixture;
use crate::lab::fixture::rich::Rich;
use crate::lab::judge;

#[test]
fn every_rule_has_its_words() {
    let told = |(name, findings): &(&str, Findings)| {
        format!("## {name}\n{}", card(findings).for_terminal(None, false))
    };
    let all: Vec<String> = cases().iter().map(told).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn words_keep_to_their_form() {
    for (name, findings) in cases() {
        let card = card(&findings);
        assert!(
            card.advice.ends_with('.') && card.effects.iter().all(|effect| effect.ends_with('.')),
            "{name}: {card:?}"
        );
        assert!(card.advice.chars().next().is_some_and(char::is_uppercase), "{name}: {}", card.advice);
        let all = card.for_terminal(None, false);
        for wrong in ["NaN", "inf", "  ", "..", " ,", "()", ": .", "-0.0", "'s's"] {
            assert!(!all.contains(wrong), "{name} has {wrong:?}: {all}");
        }
        let read: Card = serde_json::from_str(&serde_json::to_string(&card).unwrap()).unwrap();
        assert_eq!(read, card, "{name}");
    }
}

/// Every standing has a case.
#[test]
fn every_standing_occurs() {
    let all =
        [Standing::Supported, Standing::Equivalent, Standing::Open, Standing::NotJudged, Standing::FirstLook];
    for standing in all {
        assert!(cases().iter().any(|(_, findings)| card(findings).standing == standing), "{standing:?}");
    }
}

/// The order of columns, places and metrics is nothing to the advice.
#[test]
fn words_do_not_depend_on_positions() {
    for (name, findings) in cases() {
        let mut turned = findings.clone();
        turned.columns.reverse();
        turned.columns.iter_mut().for_each(|column| column.described.reverse());
        turned.noise.reverse();
        let [one, other] = [findings, turned].map(|findings| card(&findings));
        assert_eq!(one.standing, other.standing, "{name}");
        let whom = |card: &Card| card.advice.split(':').next().unwrap_or_default().len();
        assert_eq!(whom(&one), whom(&other), "{name}: {} / {}", one.advice, other.advice);
    }
}

#[test]
fn cards_of_whole_experiments() {
    let of = |data: &crate::lab::results::store::Data| {
        Card::of(data, &judge::judge(data)).for_terminal(None, false)
    };
    let faulty = Rich {
        listeners: vec!["inherited", "reuseport"],
        faults: vec!["none", "stop@1s+500ms", "kill@1s"],
        open: vec![400],
        rounds: 10,
        peers: Vec::new(),
        ..Rich::default()
    };
    let cases = [
        ("quick, 4 rounds", of(&fixture::quick(4))),
        ("quick, 12 rounds", of(&fixture::quick(12))),
        ("claims", of(&Rich { rounds: 10, open: Vec::new(), ..Rich::default() }.data())),
        ("faults", of(&faulty.data())),
    ];
    let all: Vec<String> = cases.iter().map(|(name, text)| format!("## {name}\n{text}")).collect();
    insta::assert_snapshot!(all.join("\n"));
}
