//! Published claims beside measurements: one row per expectation, for reports of experiments and suites.

use serde::Serialize;

use crate::lab::judge::claims::{Claim, ClaimVerdict, together};
use crate::lab::report::text::number;

#[derive(Debug, Serialize)]
pub struct ClaimView {
    pub name: String,
    pub text: String,
    pub source: String,
    pub theirs: String,
    pub ours: String,
    /// The metric and the range that reproduces the claim.
    pub asked: String,
    pub verdict: &'static str,
    pub why: String,
    /// The colour of the verdict.
    pub class: &'static str,
    /// In a suite, the report of the member.
    pub link: String,
}

/// `link` leads to the report.
pub fn views(claims: &[Claim], link: &str) -> Vec<ClaimView> {
    claims.iter().map(|claim| view(claim, link)).collect()
}

fn view(claim: &Claim, link: &str) -> ClaimView {
    let expect = &claim.expect;
    ClaimView {
        name: expect.claim.clone(),
        text: expect.text.clone(),
        source: expect.source.clone(),
        theirs: expect.published.clone(),
        ours: ours(claim),
        asked: format!("{} is {}", claim.figure(), expect.reproduced),
        verdict: claim.verdict.name(),
        why: claim.why.clone(),
        class: match claim.verdict {
            ClaimVerdict::Reproduced => "good",
            ClaimVerdict::NotReproduced => "flag",
            ClaimVerdict::Undecided | ClaimVerdict::NotHere => "open",
        },
        link: link.to_owned(),
    }
}

fn ours(claim: &Claim) -> String {
    let Some(ours) = claim.ours else { return "-".into() };
    let digits = if claim.expect.over.is_some() { 2 } else { claim.metric.digits().max(2) };
    let figure = |value: f64| number(value, digits);
    let text = format!(
        "{} ({} to {}) {}",
        figure(ours.median),
        figure(ours.interval.low),
        figure(ours.interval.high),
        claim.unit()
    );
    text.trim_end().to_owned()
}

/// The worst verdict on each claim, in order.
pub fn verdicts<'a>(claims: impl Iterator<Item = &'a Claim> + Clone) -> Vec<(String, ClaimVerdict)> {
    let mut known: Vec<(String, ClaimVerdict)> = Vec::new();
    for claim in claims.clone() {
        let name = &claim.expect.claim;
        if known.iter().all(|(other, _)| other != name) {
            let same = claims.clone().filter(|other| other.expect.claim == *name);
            known.extend(together(same).map(|verdict| (name.clone(), verdict)));
        }
    }
    known
}

/// The verdicts as a sentence; `None` without claims.
pub fn sentence<'a>(claims: impl Iterator<Item = &'a Claim> + Clone) -> Option<String> {
    let verdicts = verdicts(claims);
    let kinds = [
        ClaimVerdict::Reproduced,
        ClaimVerdict::NotReproduced,
        ClaimVerdict::Undecided,
        ClaimVerdict::NotHere,
    ];
    let part = |kind: ClaimVerdict| {
        let names: Vec<&str> =
            verdicts.iter().filter(|(_, verdict)| *verdict == kind).map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} {}", names.join(", "), kind.name()))
    };
    let parts: Vec<String> = kinds.into_iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| format!("Published claims: {}.", parts.join("; ")))
}
