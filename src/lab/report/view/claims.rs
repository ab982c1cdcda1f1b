//! Published claims beside measurements: one row per expectation, for reports of experiments and suites.

use serde::Serialize;

use crate::lab::judge::claims::{Claim, ClaimVerdict};
use crate::lab::report::card::ours;
use crate::lab::spec::Band;

#[derive(Debug, Serialize)]
pub struct ClaimView {
    pub name: String,
    pub text: String,
    pub source: String,
    pub theirs: String,
    pub ours: String,
    /// The metric and the ranges that it is compared with.
    pub asked: String,
    /// How the set-up differs from the published one.
    pub differs: String,
    /// The likely reason of a difference.
    pub reason: String,
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
        ours: measured(claim),
        asked: asked(claim),
        differs: expect.differs.clone(),
        reason: expect.reason.clone(),
        verdict: claim.verdict.name(),
        why: claim.why.clone(),
        class: match claim.verdict {
            ClaimVerdict::SameSize | ClaimVerdict::SameDirection | ClaimVerdict::OwnHolds => "good",
            ClaimVerdict::Contradicted | ClaimVerdict::OwnFails => "flag",
            ClaimVerdict::Undecided | ClaimVerdict::NotTestable => "open",
        },
        link: link.to_owned(),
    }
}

/// `rate of reuseport / inherited, full load: same size 0.9..1.1, same direction <= 0.95`
pub fn asked(claim: &Claim) -> String {
    let expect = &claim.expect;
    let part = |name: &str, band: Option<Band>| band.map(|band| format!("{name} {band}"));
    let ranges = if expect.own {
        vec![part("holds", expect.direction())]
    } else {
        let size = expect.size();
        vec![
            part("same size", size),
            part("same direction", expect.direction().filter(|band| Some(*band) != size)),
        ]
    };
    format!("{}: {}", claim.figure(), ranges.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

pub fn measured(claim: &Claim) -> String {
    let ours = ours(claim);
    if ours.is_empty() { "-".into() } else { ours }
}
