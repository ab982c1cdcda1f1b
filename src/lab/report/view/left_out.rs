//! Runs and columns that do not count, and why.

use itertools::Itertools;

use super::voids;
use crate::lab::judge::length::{EXCEEDANCES, RELAXATIONS};
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::{Analysis, Scene};
use crate::lab::report::text::{capital, list, place};

/// Scenes without a run that counts that are named.
const MOST_EMPTY: usize = 3;

/// Of the run ledger.
pub fn sentences(analysis: &Analysis) -> Vec<String> {
    let all = analysis.rows.len();
    let faults =
        analysis.scenes.iter().any(|scene| scene.group.levels.fault.is_some() || scene.random_faults);
    let invalid = if faults {
        "are INVALID and left out of medians; what failed in them is counted with the faults; the ledger has the reasons."
    } else {
        "are INVALID and left out; the ledger has the reasons."
    };
    let marked = [
        (Verdict::Invalid, "", invalid),
        (
            Verdict::ClientBound,
            "In ",
            "the load generator was the limit (CLIENT-BOUND): their rates and response times do not measure the server.",
        ),
        (Verdict::Noisy, "", "were disturbed (NOISY); the ledger has the reasons."),
    ];
    let sentence = |(verdict, before, after): (Verdict, &str, &str)| {
        let count = analysis.rows.iter().filter(|row| row.verdict == verdict).count();
        (count > 0).then(|| format!("{before}{count} of {all} runs {after}"))
    };
    skipped(analysis)
        .into_iter()
        .chain(empty(analysis))
        .chain(marked.into_iter().filter_map(sentence))
        .chain(voids::sentences(analysis))
        .chain(short(analysis))
        .collect()
}

/// Scenes without a run that counts, and the first reason.
fn empty(analysis: &Analysis) -> Vec<String> {
    let one = |scene: &Scene| {
        let made: usize = scene.results.iter().map(|result| result.runs).sum();
        let counts = scene.results.iter().any(|result| result.used > 0);
        let about = |row: &&Row| {
            row.load == scene.load.name && scene.results.iter().any(|result| result.cell.id == row.cell)
        };
        let why = analysis.rows.iter().filter(about).find(|row| row.verdict == Verdict::Invalid)?;
        let place = capital(&place(scene));
        (made > 0 && !counts)
            .then(|| format!("{place}: none of {made} runs counts; reason of the first: {}.", why.why()))
    };
    analysis.scenes.iter().filter_map(one).take(MOST_EMPTY).collect()
}

/// Loads whose runs are shorter than percentiles need.
fn short(analysis: &Analysis) -> Option<String> {
    let scene = |scene: &Scene| {
        let calm = scene.group.levels.fault.is_none() && !scene.random_faults;
        let lengths =
            scene.results.iter().filter_map(|result| result.length.filter(|length| !length.enough()));
        let least = lengths.min_by(|a, b| a.beyond_p99.total_cmp(&b.beyond_p99)).filter(|_| calm)?;
        let relaxations =
            least.relaxations.map_or(String::new(), |times| format!(", {times:.0} relaxation times"));
        Some(format!("{} ({:.0} requests beyond p99{relaxations})", place(scene), least.beyond_p99))
    };
    let all = list(analysis.scenes.iter().filter_map(scene));
    (!all.is_empty()).then(|| {
        format!(
            "Too short for a p99 that another experiment would find again: {all}; {EXCEEDANCES} requests and {RELAXATIONS} times are needed."
        )
    })
}

fn skipped(analysis: &Analysis) -> Vec<String> {
    let skipped = analysis.rows.iter().filter(|row| row.verdict == Verdict::Skipped);
    let sentence =
        |row: &Row| format!("{} was not run: {}.", row.peer.as_ref().unwrap_or(&row.listener), row.why());
    skipped.map(sentence).unique().collect()
}
