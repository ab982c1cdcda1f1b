//! `lab list --claims`: every published claim that an experiment tests, what it needs, and what kept results say on it.

use std::collections::BTreeSet;
use std::path::Path;

use super::KEPT;
use super::index::link;
use super::text::list;
use super::view::{Table, claims as words};
use crate::lab::error::Result;
use crate::lab::judge::claims::{self, Claim};
use crate::lab::judge::judge;
use crate::lab::results::data::Environment;
use crate::lab::results::store::{self, Data};
use crate::lab::spec::catalogue::{self, Experiment};
use crate::lab::spec::{Cpus, Spec, plan};
use crate::lab::terminal::minutes;

/// As a Markdown table, a row per expectation. Its links lead from the folder of the experiments.
pub fn markdown(results: &Path) -> Result<String> {
    let mut rows = Vec::new();
    for found in catalogue::all() {
        let Experiment::One(spec) = found.experiment()? else { continue };
        let (seconds, needs) = (plan::seconds(&spec), needs(&spec));
        let planned = planned(*spec);
        if planned.is_empty() {
            continue;
        }
        let kept = kept(&results.join(&found.name).join(KEPT))?;
        for claim in planned {
            let verdict = verdict(&found.name, kept.as_ref(), &claim);
            let verdict = verdict.unwrap_or_else(|| "not kept".into());
            rows.push((number(&claim), row(&found.name, seconds, &needs, &claim, verdict)));
        }
    }
    rows.sort_by_key(|(number, _)| *number);
    let head = "Claim|Says|Experiment|Time|Needs|Source; published|Expected|Kept result";
    Ok(Table::new(head, rows.into_iter().map(|(_, row)| row)).markdown())
}

fn row(experiment: &str, seconds: f64, needs: &str, claim: &Claim, verdict: String) -> Vec<String> {
    let expect = &claim.expect;
    let own = if expect.own { " (own addition)" } else { "" };
    let why = expect.not_testable.as_ref().map(|why| format!("; not testable here: {why}"));
    vec![
        format!("{}{own}", expect.claim),
        expect.text.clone(),
        format!("[{experiment}]({experiment}.toml)"),
        minutes(seconds),
        needs.to_owned(),
        format!("{}; {}", expect.source, expect.published),
        format!("{}{}", words::asked(claim), why.unwrap_or_default()),
        verdict,
    ]
}

/// `None` if no kept result says anything on it.
fn verdict(experiment: &str, kept: Option<&(Vec<Claim>, String)>, claim: &Claim) -> Option<String> {
    let (claims, machine) = kept?;
    let kept = same(claims, claim)?;
    let report = link(&format!("../results/{experiment}/reference/report.md"));
    let other = if kept.expect.asks_as(&claim.expect) { "" } else { ", of an earlier form of the file" };
    Some(format!("[{}]({report}): {}; {machine}{other}", kept.verdict.name(), words::measured(kept)))
}

/// The number of a published claim, `R` and digits; of an expectation that belongs to none, `None`.
fn number(claim: &Claim) -> Option<u32> {
    claim.expect.claim.strip_prefix('R')?.parse().ok()
}

/// The published claims that an experiment tests, before it was run.
fn planned(spec: Spec) -> Vec<Claim> {
    let data = Data { spec, environment: Environment::default(), runs: Vec::new(), file: "", note: None };
    let all = claims::evaluate(&data, &[], 0);
    all.into_iter().filter(|claim| number(claim).is_some()).collect()
}

/// The same expectation, or the only one of the same value under a load that the file once had.
fn same<'k>(kept: &'k [Claim], claim: &Claim) -> Option<&'k Claim> {
    let value =
        |one: &Claim| (one.expect.claim.clone(), one.metric, one.expect.of.clone(), one.expect.over.clone());
    let alike: Vec<&Claim> = kept.iter().filter(|kept| value(kept) == value(claim)).collect();
    let exact = alike.iter().find(|kept| kept.expect.asks_as(&claim.expect)).copied();
    exact.or_else(|| alike.first().copied().filter(|_| alike.len() == 1))
}

/// The claims of kept results, and the machine that they come from.
fn kept(directory: &Path) -> Result<Option<(Vec<Claim>, String)>> {
    if !store::is_results(directory) {
        return Ok(None);
    }
    let data = store::load(directory)?;
    let machine = &data.environment.machine;
    let machine = format!("{} cores, {}", machine.cores, machine.kernel);
    Ok(Some((judge(&data).claims, machine)))
}

/// What a machine must have, beside Linux.
fn needs(spec: &Spec) -> String {
    let mut needs = BTreeSet::new();
    if spec.cpus == Cpus::Apart {
        needs.insert("2 processors");
    }
    if spec.factors.sysctl.iter().any(Option::is_some) {
        needs.insert("a network namespace");
    }
    let peers = spec.factors.peers.iter().filter_map(|peer| peer.split(':').next());
    needs.extend(peers.filter(|peer| *peer != "command"));
    needs.extend(spec.peer.values().filter_map(|peer| peer.command.split_whitespace().next()));
    if needs.is_empty() { "-".into() } else { list(needs) }
}
