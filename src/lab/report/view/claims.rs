//! Published claims beside measurements: one row per expectation, for reports of experiments and suites.

use itertools::Itertools;
use serde_json::{Value, json};

use crate::lab::judge::claims::Claim;
use crate::lab::report::card::ours;
use crate::lab::spec::Band;

/// For templates. `link` leads to the report of the member of a suite.
pub fn views(claims: &[Claim], link: &str) -> Vec<Value> {
    let view = |claim: &Claim| {
        json!({
            "expect": claim.expect, "ours": measured(claim), "asked": asked(claim),
            "verdict": claim.verdict.name(), "why": claim.why, "link": link,
        })
    };
    claims.iter().map(view).collect()
}

/// `rate of reuseport / inherited, full load: same size 0.9..1.1, same direction <= 0.95`
pub fn asked(claim: &Claim) -> String {
    let (size, direction) = (claim.expect.size(), claim.expect.direction());
    let part = |name: &str, band: Option<Band>| band.map(|band| format!("{name} {band}"));
    let ranges = match claim.expect.own {
        true => [None, part("holds", direction)],
        false => {
            let other = direction.filter(|band| Some(*band) != size);
            [part("same size", size), part("same direction", other)]
        }
    };
    format!("{}: {}", claim.figure(), ranges.into_iter().flatten().join(", "))
}

pub fn measured(claim: &Claim) -> String {
    let ours = ours(claim);
    if ours.is_empty() { "-".into() } else { ours }
}
