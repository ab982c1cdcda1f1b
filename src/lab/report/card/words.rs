//! From findings to a card: the kind of the experiment selects the rules. Pure.

use itertools::Itertools;

use super::amounts::noun;
use super::findings::Findings;
use super::{Card, claims, compared, faults, soak};
use crate::lab::judge::{ENOUGH_ROUNDS, Scale};
use crate::lab::report::text::{capital, counted, number, uncapital};
use crate::lab::spec::{Metric, decision};

/// The rules of a kind say its advice, how it stands, its effects, and when to choose otherwise. The rest is the same for all.
pub fn card(findings: &Findings) -> Card {
    let said = match findings {
        none if none.runs == 0 => Card {
            advice: "Run the experiment again: no run was made.".into(),
            stands: "not judged, because there are no runs".into(),
            ..Card::default()
        },
        tested if !tested.claims.is_empty() => claims::say(&tested.claims),
        long if !long.slopes.is_empty() => soak::say(long),
        struck if struck.is_about_losses() => faults::say(struck),
        other => compared::say(other),
    };
    let noted = if findings.noted { "; see the note above" } else { "" };
    Card {
        decision: findings.decision.clone(),
        stands: format!("{}{noted}", said.stands),
        evidence: evidence(findings),
        missing: findings.missing.join("; "),
        ..said
    }
}

/// Beginnings of what is not advice for one case.
const UNSCOPED: [&str; 3] = ["Not ", "Run it", "No "];

/// The clause that begins an advice, and the advice: `When requests differ in length, do not take reuseport: ...`
pub fn scoped(findings: &Findings, advice: &str) -> String {
    match decision::clause(&findings.decision) {
        Some(clause) if !UNSCOPED.iter().any(|begin| advice.starts_with(begin)) => {
            capital(&format!("{clause}, {}", uncapital(advice)))
        }
        _ => advice.to_owned(),
    }
}

/// `12 rounds, 2 repeated, noise ±4 %`
fn evidence(findings: &Findings) -> String {
    let mut parts = vec![counted(findings.rounds, "round")];
    if findings.repeated > 0 {
        parts.push(format!("{} repeated", findings.repeated));
    }
    match findings.noise.as_slice() {
        [] => {}
        [(metric, noise)] => parts.push(format!("noise ±{}", amount(*metric, *noise))),
        several => {
            let each =
                |(metric, noise): &(Metric, f64)| format!("±{} ({})", amount(*metric, *noise), noun(*metric));
            parts.push(format!("noise {}", several.iter().map(each).join(", ")));
        }
    }
    if findings.void > 0 {
        parts.push(format!("{} of {} runs void", findings.void, findings.runs));
    }
    if findings.short {
        parts.push("runs too short for the p99 that is judged".into());
    }
    parts.join(", ")
}

fn amount(metric: Metric, value: f64) -> String {
    format!("{} {}", number(value, usize::from(value < 2.0)), Scale::of(metric).unit())
}

/// Too few rounds: what settles it.
pub fn first_look(findings: &Findings) -> String {
    let (rounds, name) = (findings.rounds, &findings.experiment);
    format!("a first look ({rounds} of {ENOUGH_ROUNDS} rounds); `lab run {name} --rounds 12` settles it")
}
