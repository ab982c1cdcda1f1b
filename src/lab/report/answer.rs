//! The answer in sentences, which say no more than the judge found.

mod opening;

use super::text::{TAIL, brackets, capital, load_line, number, percent, place};
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::{Analysis, CellResult, Comparison, Conclusion, ENOUGH_ROUNDS, Estimate, Scene};
use crate::lab::spec::Metric;

/// With more scenes, the answer has no values of each.
const MOST_SCENES: usize = 6;
/// With more values, sentences have only the lowest and the highest.
const MOST_FIGURES: usize = 8;

/// Strategies with differences that the answer names.
const MOST_FOUND: usize = 3;
/// Otherwise it names this many of the largest differences.
const MOST_GREATEST: usize = 4;
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
        found.insert(if first { 0 } else { found.len() }, judgement(analysis));
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
    let rate = result.estimate(Metric::Rate).filter(|_| scene.load.closed.is_some() && !result.client_bound);
    let rate = rate.map(|rate| with_interval(rate, 0, "requests/s") + ", ").unwrap_or_default();
    let tail = with_interval(result.estimate(TAIL)?, TAIL.digits(), TAIL.unit());
    let busiest = result.spread.map(|spread| {
        format!(
            ", busiest of {} workers {} (Jain {:.4})",
            result.cell.levels.workers,
            percent(spread.top1_share, 1),
            spread.jain
        )
    });
    Some(format!("{} {rate}p99 {tail}{}", result.cell.name(), busiest.unwrap_or_default()))
}

/// The lowest and the highest of each metric.
fn ends(scene: &Scene, own: &[&CellResult]) -> Vec<String> {
    let mut parts = Vec::new();
    for metric in [Metric::Rate, TAIL] {
        let mut known: Vec<(&CellResult, Estimate)> = own
            .iter()
            .filter(|result| metric != Metric::Rate || (scene.load.closed.is_some() && !result.client_bound))
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

fn judgement(analysis: &Analysis) -> String {
    if analysis.rows.is_empty() {
        return "No run was made.".into();
    }
    if !analysis.enough {
        return format!(
            "Too few rounds to judge ({} of {ENOUGH_ROUNDS}): all values are estimates, and no strategy is ranked.",
            analysis.rounds
        );
    }
    let mut found = Vec::new();
    for scene in &analysis.scenes {
        for (cell, result) in scene.results.iter().enumerate() {
            let differs = |c: &&Comparison| c.cell == cell && c.conclusion == Conclusion::Differs;
            let each = |c: &Comparison| {
                let title = c.metric.title();
                format!("{title} {}", change(c))
            };
            let all: Vec<String> = scene.comparisons.iter().filter(differs).map(each).collect();
            if !all.is_empty() {
                found.push(format!("{} under {}: {}", result.cell.name(), place(scene), all.join(", ")));
            }
        }
    }
    if found.is_empty() {
        return format!("No difference from the baseline counts over {} rounds.", analysis.rounds);
    }
    if found.len() > MOST_FOUND {
        return greatest(analysis);
    }
    format!("Differences from the baseline that count over {} rounds: {}.", analysis.rounds, found.join("; "))
}

/// For too many differences to name: how many count, and the largest in rate and p99.
fn greatest(analysis: &Analysis) -> String {
    let all = analysis.scenes.iter().flat_map(|scene| scene.comparisons.iter().map(move |c| (scene, c)));
    let judged = || all.clone().filter(|(_, c)| c.conclusion != Conclusion::Floor);
    let mut count: Vec<(&Scene, &Comparison)> =
        judged().filter(|(_, c)| c.conclusion == Conclusion::Differs).collect();
    let (counting, of) = (count.len(), judged().count());
    count.retain(|(_, c)| [Metric::Rate, TAIL].contains(&c.metric));
    count.sort_by(|(_, a), (_, b)| size(b).total_cmp(&size(a)));
    let each = |(scene, c): &(&Scene, &Comparison)| {
        let (strategy, title) = (scene.results[c.cell].cell.name(), c.metric.title());
        format!("{strategy} under {}: {title} {}", place(scene), change(c))
    };
    let named: Vec<String> = count.iter().take(MOST_GREATEST).map(each).collect();
    let named = if named.is_empty() { String::new() } else { format!("; the largest: {}", named.join("; ")) };
    format!("{counting} of {of} differences from the baseline count over {} rounds{named}.", analysis.rounds)
}

/// A difference with its interval, in %, or as a factor if large.
fn change(comparison: &Comparison) -> String {
    const MANY: f64 = 400.0;
    let (median, [low, high]) = (comparison.median, [comparison.interval.low, comparison.interval.high]);
    if median < MANY {
        return format!("{median:+.1} % ({low:+.1} to {high:+.1})");
    }
    let [median, low, high] = [median, low, high].map(|percent| number(1.0 + percent / 100.0, 0));
    format!("{median} times as much ({low} to {high})")
}

/// Size of a difference: half and double are equal.
fn size(comparison: &Comparison) -> f64 {
    (1.0 + comparison.median / 100.0).max(0.001).ln().abs()
}

fn left_out(analysis: &Analysis) -> Vec<String> {
    let all = analysis.rows.len();
    let marked = [
        (Verdict::Invalid, "", "are INVALID and left out; the ledger has the reasons."),
        (
            Verdict::ClientBound,
            "In ",
            "the load generator was the limit (CLIENT-BOUND): their rates do not measure the server.",
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
