//! Published claims in words, the contradicted ones first.

use super::words::Saying;
use super::{Card, Standing};
use crate::lab::judge::claims::{Claim, ClaimVerdict};
use crate::lab::report::text::{capital, number};

/// Claims with more expectations are counted after this many.
const MOST: usize = 5;

/// One expectation and what came of it.
#[derive(Clone, Debug)]
pub struct Said {
    /// `R2`
    pub name: String,
    pub text: String,
    pub theirs: String,
    /// Empty if nothing was measured.
    pub ours: String,
    pub verdict: ClaimVerdict,
    /// Why it is undecided or was not tested.
    pub why: String,
}

impl Said {
    pub fn of(claim: &Claim) -> Self {
        let expect = &claim.expect;
        Self {
            name: expect.claim.clone(),
            text: expect.text.trim_end_matches('.').to_owned(),
            theirs: expect.published.clone(),
            ours: ours(claim),
            verdict: claim.verdict,
            why: claim.why.clone(),
        }
    }

    /// `"LIFO" (R2), theirs 0 0 0, ours 1.00`
    fn says(&self) -> String {
        let Self { name, text, theirs, ours, .. } = self;
        let ours = if ours.is_empty() { String::new() } else { format!("; ours: {ours}") };
        format!("\u{201c}{text}\u{201d} ({name}; theirs: {theirs}{ours})")
    }
}

/// `2.92 times (2.84 to 3.08)`
pub fn ours(claim: &Claim) -> String {
    let Some(ours) = claim.ours else { return String::new() };
    let digits = if claim.expect.over.is_some() { 2 } else { claim.metric.digits().max(2) };
    let [median, low, high] =
        [ours.median, ours.interval.low, ours.interval.high].map(|value| number(value, digits));
    let unit = claim.unit();
    let space = if unit.is_empty() { "" } else { " " };
    format!("{median}{space}{unit} ({low} to {high})")
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

pub fn say(claims: &[Said]) -> Saying {
    let of = |verdict: ClaimVerdict| claims.iter().filter(move |claim| claim.verdict == verdict);
    let sorted: Vec<&Said> = ORDER.into_iter().flat_map(of).collect();
    let Some(first) = sorted.first() else { return Saying::default() };
    let advice = match first.verdict {
        ClaimVerdict::Contradicted => {
            format!("Do not build on this claim, which is contradicted: {}.", first.says())
        }
        ClaimVerdict::OwnFails => format!("Do not build on this, which does not hold: {}.", first.says()),
        ClaimVerdict::SameSize => {
            format!("Rely on this claim, which has the same size here: {}.", first.says())
        }
        ClaimVerdict::SameDirection => {
            format!("Rely on the direction of this claim, not on its size: {}.", first.says())
        }
        ClaimVerdict::OwnHolds => format!("Rely on this, which holds: {}.", first.says()),
        ClaimVerdict::Undecided | ClaimVerdict::NotTestable => {
            format!("Not judged, because {}: {}.", why(first), first.says())
        }
    };
    let decided =
        |claim: &&Said| !matches!(claim.verdict, ClaimVerdict::Undecided | ClaimVerdict::NotTestable);
    let decided = claims.iter().filter(decided).count();
    let counts =
        ORDER.into_iter().map(|verdict| (verdict, of(verdict).count())).filter(|(_, count)| *count > 0);
    let counts: Vec<String> =
        counts.map(|(verdict, count)| format!("{count} {}", verdict.name().replace(": ", ", "))).collect();
    let few = decided == 0 && claims.iter().any(|claim| claim.why.starts_with("too few rounds"));
    let (standing, word) = match decided {
        0 if few => (Standing::FirstLook, "a first look"),
        0 => (Standing::NotJudged, "not judged"),
        _ => (Standing::Supported, "supported"),
    };
    let stands =
        format!("{word}: {decided} of {} expectations decided ({})", claims.len(), counts.join(", "));
    Saying { advice, standing, stands, effects: others(&sorted[1..]), otherwise: String::new() }
}

fn why(claim: &Said) -> String {
    match claim.why.as_str() {
        "" => "nothing was measured".into(),
        few if few.starts_with("too few") => format!("there are {few}"),
        why => why.to_owned(),
    }
}

/// The other expectations, each with its verdict; what is not known is short.
fn others(rest: &[&Said]) -> Vec<String> {
    let (known, open): (Vec<&Said>, Vec<&Said>) = rest
        .iter()
        .copied()
        .partition(|claim| !matches!(claim.verdict, ClaimVerdict::Undecided | ClaimVerdict::NotTestable));
    let each =
        |claim: &&Said| format!("{}: {}.", capital(claim.verdict.name()).replace(": ", ", "), claim.says());
    let mut all: Vec<String> = known.iter().take(MOST).map(each).collect();
    if known.len() > MOST {
        all.push(format!("{} more have a verdict in the table.", known.len() - MOST));
    }
    if !open.is_empty() {
        let mut names: Vec<&str> = open.iter().map(|claim| claim.name.as_str()).collect();
        names.dedup();
        all.push(format!("Undecided or not testable here: {}.", names.join(", ")));
    }
    all
}

/// The card of a suite: of all claims of its members.
pub fn of_suite<'a>(
    decision: &str,
    claims: impl Iterator<Item = &'a Claim> + Clone,
    not_started: &[&str],
) -> Card {
    let said: Vec<Said> = claims.clone().map(Said::of).collect();
    let saying = if said.is_empty() {
        Saying {
            advice: "Run the suite: nothing has started.".into(),
            stands: "not judged".into(),
            ..Saying::default()
        }
    } else {
        say(&said)
    };
    let rounds = claims.map(|claim| claim.rounds).filter(|rounds| *rounds > 0);
    let (least, most) =
        rounds.fold((usize::MAX, 0), |(least, most), rounds| (least.min(rounds), most.max(rounds)));
    let evidence = match (least, most) {
        (_, 0) => "no rounds".into(),
        (least, most) if least == most => format!("{most} rounds"),
        (least, most) => format!("{least} to {most} rounds"),
    };
    let missing = if not_started.is_empty() {
        String::new()
    } else {
        format!("not started: {}", not_started.join(", "))
    };
    Card {
        decision: decision.to_owned(),
        advice: saying.advice,
        standing: saying.standing,
        stands: saying.stands,
        effects: saying.effects,
        evidence,
        missing,
        ..Card::default()
    }
}
