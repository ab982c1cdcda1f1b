//! From findings to a card: the kind of the experiment selects the rules. Pure.

use itertools::Itertools;

use super::amounts::{names, noun};
use super::findings::{Column, Effect, Findings, Spread};
use super::{Card, claims, compared, faults, soak};
use crate::lab::judge::{Comparison, ENOUGH_ROUNDS, Scale};
use crate::lab::report::text::{capital, counted, holding, list, number, uncapital};
use crate::lab::spec::{Metric, decision};

/// The rules of a kind say its advice, how it stands, its effects, and when to choose otherwise. The rest is the same for all.
pub fn card(findings: &Findings) -> Card {
    let said = match findings {
        none if none.runs == 0 => Card::unjudged(
            "Run the experiment again: no run was made.",
            "not judged, because there are no runs",
        ),
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
    let each = |(metric, noise): &(Metric, f64)| format!("±{} ({})", amount(*metric, *noise), noun(*metric));
    let noise = match findings.noise.as_slice() {
        [(metric, noise)] => format!("±{}", amount(*metric, *noise)),
        several => several.iter().map(each).join(", "),
    };
    let parts = [
        (true, counted(findings.rounds, "round")),
        (findings.repeated > 0, format!("{} repeated", findings.repeated)),
        (!noise.is_empty(), format!("noise {noise}")),
        (findings.void > 0, format!("{} of {} runs void", findings.void, findings.runs)),
        (findings.short, "runs too short for the p99 that is judged".into()),
    ];
    holding(parts).join(", ")
}

fn amount(metric: Metric, value: f64) -> String {
    format!("{} {}", number(value, usize::from(value < 2.0)), Scale::of(metric).unit())
}

/// Too few rounds: what settles it.
pub fn first_look(findings: &Findings) -> String {
    let (rounds, name) = (findings.rounds, &findings.experiment);
    format!("a first look ({rounds} of {ENOUGH_ROUNDS} rounds); `lab run {name} --rounds 12` settles it")
}

/// A metric in which a column is better (or worse) everywhere, by more than the least effect; the one with most.
pub fn described(column: &Column, better: bool) -> Option<Metric> {
    let clear = |effect: &Effect| {
        let Comparison { interval, least_effect, .. } = effect.found;
        let beyond = interval.low > least_effect || interval.high < -least_effect;
        beyond && effect.is_better() == better
    };
    let of = |metric: Metric| column.described.iter().filter(move |effect| effect.found.metric == metric);
    let matters = Metric::ALL.iter().copied().filter(|metric| *metric != Metric::ServerSwitches);
    let all = matters.filter(|metric| of(*metric).next().is_some() && of(*metric).all(clear));
    let least = |metric: &Metric| of(*metric).map(Effect::size).fold(f64::INFINITY, f64::min);
    all.max_by(|a, b| least(a).total_cmp(&least(b)))
}

/// Columns whose busiest worker gets much more than its share; `None` where all are about even.
pub fn spread(all: &[Spread]) -> Option<String> {
    const UNEVEN: f64 = 1.25;
    let of = |one: bool| {
        let some = all.iter().filter(move |spread| spread.most > UNEVEN && spread.concentrated == one);
        some.map(|spread| spread.column.as_str()).collect::<Vec<_>>()
    };
    let (one, several) = (of(true), of(false));
    let most = all.iter().filter(|spread| !spread.concentrated).map(|spread| spread.most).fold(0.0, f64::max);
    let parts = [
        (!one.is_empty()).then(|| format!("to one worker with {}", names(&one, "strategies"))),
        (!several.is_empty()).then(|| {
            format!(
                "unevenly with {} (the busiest worker up to {} times its share)",
                names(&several, "strategies"),
                number(most, 1)
            )
        }),
    ];
    let parts = list(parts.into_iter().flatten());
    (!parts.is_empty()).then(|| format!("Connections go {parts}."))
}
