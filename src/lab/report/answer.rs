//! The answer in sentences, which say no more than the judge found.

mod judgement;
mod opening;

pub use self::judgement::change;
use super::text::{TAIL, brackets, capital, list, load_line, number, percent, place};
use crate::lab::judge::length::{EXCEEDANCES, RELAXATIONS};
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::{Analysis, CellResult, Estimate, Scene};
use crate::lab::report::view::voids;
use crate::lab::spec::Metric;

/// With more scenes, the answer has no values of each.
const MOST_SCENES: usize = 6;
/// With more values, sentences have only the lowest and the highest.
const MOST_FIGURES: usize = 8;

/// Scenes without a run that counts that the answer names.
const MOST_EMPTY: usize = 3;

/// The most important sentence first.
pub fn answer(analysis: &Analysis) -> Vec<String> {
    let [mut sentences, rest] = in_short(analysis);
    if analysis.scenes.len() <= MOST_SCENES {
        let figures: Vec<String> =
            analysis.scenes.iter().filter_map(|scene| figures(scene, analysis)).collect();
        let explained = (!figures.is_empty()).then(|| format!("In brackets: {}.", brackets(analysis)));
        sentences.extend(figures.into_iter().chain(explained));
    }
    sentences.extend(rest);
    sentences
}

/// The answer beside a table of values: the findings, and what is missing or marked.
pub fn in_short(analysis: &Analysis) -> [Vec<String>; 2] {
    let mut found = opening::opening(analysis);
    // A difference that counts matters more than the spread of connections; after a fault, the effect on
    // clients comes first.
    let faults = analysis.scenes.iter().any(|scene| scene.group.levels.fault.is_some());
    let first = analysis.enough && !faults;
    let compared = analysis.scenes.iter().any(|scene| scene.results.iter().any(|result| result.cell.twin));
    if compared || analysis.rows.is_empty() {
        let at = if first { 0 } else { found.len() };
        found.splice(at..at, judgement::judgement(analysis));
    }
    [found, left_out(analysis)]
}

/// Rate, tail and largest share of each strategy, or the lowest and the highest.
fn figures(scene: &Scene, analysis: &Analysis) -> Option<String> {
    let own: Vec<&CellResult> =
        scene.results.iter().filter(|result| !result.cell.twin && result.used > 0).collect();
    let few = own.len() * analysis.scenes.len() <= MOST_FIGURES;
    let parts =
        if few { own.iter().filter_map(|result| each(scene, result)).collect() } else { ends(scene, &own) };
    let place = capital(&place(scene));
    (!parts.is_empty()).then(|| format!("{place}, {}: {}.", load_line(scene), parts.join("; ")))
}

fn with_interval(estimate: Estimate, digits: usize, unit: &str) -> String {
    let [middle, low, high] =
        [estimate.median, estimate.interval.low, estimate.interval.high].map(|value| number(value, digits));
    format!("{middle} {unit} ({low} to {high})")
}

fn each(scene: &Scene, result: &CellResult) -> Option<String> {
    let rate = result.estimate(Metric::Rate).filter(|_| scene.load.closed.is_some());
    let rate = rate.map(|rate| with_interval(rate, 0, "requests/s") + ", ").unwrap_or_default();
    let tail = with_interval(result.estimate(TAIL)?, TAIL.digits(), TAIL.unit());
    let figures = if result.client_bound { "client-bound".into() } else { format!("{rate}p99 {tail}") };
    let busiest = result.spread.map(|spread| {
        format!(
            ", busiest of {} workers {} (Jain {:.4})",
            result.cell.levels.workers,
            percent(spread.top1_share, 1),
            spread.jain
        )
    });
    Some(format!("{} {figures}{}", result.cell.name(), busiest.unwrap_or_default()))
}

/// The lowest and the highest of each metric.
fn ends(scene: &Scene, own: &[&CellResult]) -> Vec<String> {
    let mut parts = Vec::new();
    for metric in [Metric::Rate, TAIL] {
        let mut known: Vec<(&CellResult, Estimate)> = own
            .iter()
            .filter(|result| !result.client_bound && (metric != Metric::Rate || scene.load.closed.is_some()))
            .filter_map(|result| Some((*result, result.estimate(metric)?)))
            .collect();
        known.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
        let text = |(result, estimate): &(&CellResult, Estimate)| {
            format!("{} {}", result.cell.name(), with_interval(*estimate, metric.digits(), metric.unit()))
        };
        if let [least, .., greatest] = known.as_slice() {
            parts.push(format!("{} from {} to {}", metric.title(), text(least), text(greatest)));
        }
    }
    parts
}

fn left_out(analysis: &Analysis) -> Vec<String> {
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
    let all: Vec<String> = analysis.scenes.iter().filter_map(scene).collect();
    (!all.is_empty()).then(|| {
        format!(
            "Too short for a p99 that another experiment would find again: {}; {EXCEEDANCES} requests and {RELAXATIONS} times are needed.",
            list(&all)
        )
    })
}

fn skipped(analysis: &Analysis) -> Vec<String> {
    let mut known: Vec<(String, String)> = Vec::new();
    for row in analysis.rows.iter().filter(|row| row.verdict == Verdict::Skipped) {
        let column = row.peer.clone().unwrap_or_else(|| row.listener.clone());
        let entry = (column, row.why());
        if !known.contains(&entry) {
            known.push(entry);
        }
    }
    known.into_iter().map(|(column, why)| format!("{column} was not run: {why}.")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(number(999.0, 0), "999");
        assert_eq!(number(-1500.0, 0), "-1,500");
        assert_eq!(number(-0.001, 1), "0.0");
    }
}
