//! From findings to a card: the kind of the experiment selects the rules. Pure.

use super::amounts::noun;
use super::findings::Findings;
use super::{Card, Standing, claims, compared, faults, soak};
use crate::lab::judge::{ENOUGH_ROUNDS, Scale};
use crate::lab::report::text::{capital, number};
use crate::lab::spec::{Metric, decision};

/// What the rules of a kind say. The rest of a card is the same for all.
#[derive(Debug, Default)]
pub struct Saying {
    pub advice: String,
    pub standing: Standing,
    pub stands: String,
    pub effects: Vec<String>,
    pub otherwise: String,
}

pub fn card(findings: &Findings) -> Card {
    let said = match findings {
        none if none.runs == 0 => Saying {
            advice: "Run the experiment again: no run was made.".into(),
            stands: "not judged, because there are no runs".into(),
            ..Saying::default()
        },
        tested if !tested.claims.is_empty() => claims::say(&tested.claims),
        long if !long.slopes.is_empty() => soak::say(long),
        struck if struck.is_about_losses() => faults::say(struck),
        other => compared::say(other),
    };
    let noted = if findings.noted { "; see the note above" } else { "" };
    Card {
        decision: findings.decision.clone(),
        advice: said.advice,
        standing: said.standing,
        stands: format!("{}{noted}", said.stands),
        effects: said.effects,
        otherwise: said.otherwise,
        evidence: evidence(findings),
        missing: findings.missing.join("; "),
    }
}

/// Beginnings of what is not advice for one case.
const UNSCOPED: [&str; 3] = ["Not ", "Run it", "No "];

/// The clause that begins an advice, and the advice: `When requests differ in length, do not take reuseport: ...`
pub fn scoped(findings: &Findings, advice: &str) -> String {
    match decision::clause(&findings.decision) {
        Some(clause) if !UNSCOPED.iter().any(|begin| advice.starts_with(begin)) => {
            let mut rest = advice.chars();
            let first = rest.next().map_or_else(String::new, |first| first.to_lowercase().collect());
            capital(&format!("{clause}, {first}{}", rest.as_str()))
        }
        _ => advice.to_owned(),
    }
}

/// `12 rounds, 2 repeated, noise ±4 %`
fn evidence(findings: &Findings) -> String {
    let plural = if findings.rounds == 1 { "" } else { "s" };
    let mut parts = vec![format!("{} round{plural}", findings.rounds)];
    if findings.repeated > 0 {
        parts.push(format!("{} repeated", findings.repeated));
    }
    match findings.noise.as_slice() {
        [] => {}
        [(metric, noise)] => parts.push(format!("noise ±{}", amount(*metric, *noise))),
        several => {
            let each: Vec<String> = several
                .iter()
                .map(|(metric, noise)| format!("±{} ({})", amount(*metric, *noise), noun(*metric)))
                .collect();
            parts.push(format!("noise {}", each.join(", ")));
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
