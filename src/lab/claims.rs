//! `lab list --claims`: every claim that an experiment tests, what it needs, and what kept results say on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::Result;
use super::judge::claims::{self, Claim};
use super::judge::judge;
use super::report::{self, ClaimEntry};
use super::results::data::Environment;
use super::results::store::{self, Data};
use super::spec::catalogue::{self, Experiment};
use super::spec::{Cpus, Spec, plan};

/// Kept results are `results/NAME/reference`.
const KEPT: &str = "reference";

/// As a Markdown table.
pub fn list(results: &Path) -> Result<String> {
    let mut entries = Vec::new();
    for found in catalogue::all() {
        let Experiment::One(spec) = found.experiment()? else { continue };
        let (seconds, needs) = (plan::seconds(&spec), needs(&spec));
        let planned = planned(*spec);
        if planned.is_empty() {
            continue;
        }
        let kept = kept(&results.join(&found.name).join(KEPT))?;
        entries.extend(planned.into_iter().map(|claim| {
            let verdict = kept.as_ref().and_then(|(claims, _)| same(claims, &claim)).cloned();
            ClaimEntry {
                experiment: found.name.clone(),
                seconds,
                needs: needs.clone(),
                machine: kept.as_ref().map_or_else(String::new, |(_, machine)| machine.clone()),
                kept: verdict,
                claim,
            }
        }));
    }
    entries.sort_by_key(|entry| number(&entry.claim));
    Ok(report::claim_list(&entries).markdown())
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
fn needs(spec: &Spec) -> Vec<String> {
    let mut needs = BTreeSet::new();
    if spec.cpus == Cpus::Apart {
        needs.insert("2 processors".to_owned());
    }
    if spec.factors.sysctl.iter().any(Option::is_some) {
        needs.insert("a network namespace".into());
    }
    let peers: BTreeMap<&str, ()> =
        spec.factors.peers.iter().filter_map(|peer| Some((peer.split(':').next()?, ()))).collect();
    needs.extend(peers.into_keys().filter(|peer| *peer != "command").map(str::to_owned));
    needs.extend(
        spec.peer.values().filter_map(|peer| peer.command.split_whitespace().next()).map(str::to_owned),
    );
    needs.into_iter().collect()
}
