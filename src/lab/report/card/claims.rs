//! Published claims in words, the contradicted ones first.

use itertools::Itertools;

use super::{Card, Standing};
use crate::lab::judge::claims::{Claim, ClaimVerdict};
use crate::lab::report::text::{capital, number, range};
use crate::lab::spec::Expect;

/// Claims with more expectations are counted after this many.
const MOST: usize = 5;

/// `"LIFO" (R2), theirs 0 0 0, ours 1.00`
fn says(claim: &Claim) -> String {
    let Expect { claim: name, text, published, .. } = &claim.expect;
    let (text, ours) = (text.trim_end_matches('.'), ours(claim));
    let ours = if ours.is_empty() { ours } else { format!("; ours: {ours}") };
    format!("\u{201c}{text}\u{201d} ({name}; theirs: {published}{ours})")
}

/// `2.92 times (2.84 to 3.08)`
pub fn ours(claim: &Claim) -> String {
    let Some(ours) = claim.ours else { return String::new() };
    let digits = if claim.expect.over.is_some() { 2 } else { claim.metric.digits().max(2) };
    let median = format!("{} {}", number(ours.median, digits), claim.unit());
    format!("{} ({})", median.trim_end(), range(ours.interval, digits))
}

/// The order of the words: what is wrong before what is right, and that before what is not known.
const ORDER: [ClaimVerdict; 7] = [
    ClaimVerdict::Contradicted,
    ClaimVerdict::OwnFails,
    ClaimVerdict::SameSize,
    ClaimVerdict::SameDirection,
    ClaimVerdict::OwnHolds,
    ClaimVerdict::Undecided,
    ClaimVerdict::NotTestable,
];

fn is_decided(claim: &Claim) -> bool {
    !matches!(claim.verdict, ClaimVerdict::Undecided | ClaimVerdict::NotTestable)
}

pub fn say(claims: &[Claim]) -> Card {
    let of = |verdict: ClaimVerdict| claims.iter().filter(move |claim| claim.verdict == verdict);
    let sorted: Vec<&Claim> = ORDER.into_iter().flat_map(of).collect();
    let Some(first) = sorted.first() else { return Card::default() };
    let advice = match first.verdict {
        ClaimVerdict::Contradicted => "Do not build on this claim, which is contradicted",
        ClaimVerdict::OwnFails => "Do not build on this, which does not hold",
        ClaimVerdict::SameSize => "Rely on this claim, which has the same size here",
        ClaimVerdict::SameDirection => "Rely on the direction of this claim, not on its size",
        ClaimVerdict::OwnHolds => "Rely on this, which holds",
        ClaimVerdict::Undecided | ClaimVerdict::NotTestable => &format!("Not judged, because {}", why(first)),
    };
    let decided = claims.iter().filter(|claim| is_decided(claim)).count();
    let counts = ORDER.into_iter().map(|verdict| (of(verdict).count(), verdict.name().replace(": ", ", ")));
    let counts = counts.filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, name)| format!("{count} {name}")).join(", ");
    let few = decided == 0 && claims.iter().any(|claim| claim.why.starts_with("too few rounds"));
    let (standing, word) = match decided {
        0 if few => (Standing::FirstLook, "a first look"),
        0 => (Standing::NotJudged, "not judged"),
        _ => (Standing::Supported, "supported"),
    };
    Card {
        advice: format!("{advice}: {}.", says(first)),
        standing,
        stands: format!("{word}: {decided} of {} expectations decided ({counts})", claims.len()),
        effects: others(&sorted[1..]),
        ..Card::default()
    }
}

fn why(claim: &Claim) -> String {
    match claim.why.as_str() {
        "" => "nothing was measured".into(),
        few if few.starts_with("too few") => format!("there are {few}"),
        why => why.to_owned(),
    }
}

/// The other expectations, each with its verdict; what is not known is short.
fn others(rest: &[&Claim]) -> Vec<String> {
    let (known, open): (Vec<&Claim>, Vec<&Claim>) = rest.iter().copied().partition(|claim| is_decided(claim));
    let each =
        |claim: &&Claim| format!("{}: {}.", capital(claim.verdict.name()).replace(": ", ", "), says(claim));
    let mut all: Vec<String> = known.iter().take(MOST).map(each).collect();
    if known.len() > MOST {
        all.push(format!("{} more have a verdict in the table.", known.len() - MOST));
    }
    if !open.is_empty() {
        let names = open.iter().map(|claim| &claim.expect.claim).dedup().join(", ");
        all.push(format!("Undecided or not testable here: {names}."));
    }
    all
}

/// The card of a suite: of all claims of its members.
pub fn of_suite(decision: &str, claims: &[Claim], not_started: &[String]) -> Card {
    let said = match claims {
        [] => Card::unjudged("Run the suite: nothing has started.", "not judged"),
        _ => say(claims),
    };
    let rounds = claims.iter().map(|claim| claim.rounds).filter(|rounds| *rounds > 0);
    let evidence = match rounds.minmax().into_option() {
        None => "no rounds".into(),
        Some((least, most)) if least == most => format!("{most} rounds"),
        Some((least, most)) => format!("{least} to {most} rounds"),
    };
    let missing = not_started.join(", ");
    let missing = if missing.is_empty() { missing } else { format!("not started: {missing}") };
    Card { decision: decision.to_owned(), evidence, missing, ..said }
}
