//! What differs, what is equivalent and what could not be told apart.

use crate::lab::judge::{Analysis, Comparison, Conclusion, ENOUGH_ROUNDS, Scene};
use crate::lab::report::text::{list, number, place};
use crate::lab::spec::Metric;

/// A sentence names this many comparisons, the largest first, and counts the others.
const MOST: usize = 4;

/// The most important sentence first.
pub fn judgement(analysis: &Analysis) -> Vec<String> {
    if analysis.rows.is_empty() {
        return vec!["No run was made.".into()];
    }
    if !analysis.enough {
        return vec![format!(
            "Too few rounds to judge ({} of {ENOUGH_ROUNDS}): all values are estimates, and no strategy is ranked.",
            analysis.rounds
        )];
    }
    let primary = |c: &&Comparison| c.primary && c.conclusion != Conclusion::Twin;
    let family: Vec<(&Scene, &Comparison)> = analysis
        .scenes
        .iter()
        .flat_map(|scene| scene.comparisons.iter().filter(primary).map(move |c| (scene, c)))
        .collect();
    if family.is_empty() {
        return Vec::new();
    }
    let of = |conclusion| -> Vec<(&Scene, &Comparison)> {
        family.iter().filter(|(_, c)| c.conclusion == conclusion).copied().collect()
    };
    let mut differs = of(Conclusion::Differs);
    differs.sort_by(|(_, a), (_, b)| size(b).total_cmp(&size(a)));
    let first = match differs.as_slice() {
        [] => format!("No difference was found over {} rounds.", analysis.rounds),
        _ => sentence("Difference", &differs, found),
    };
    let mut open = of(Conclusion::Open);
    open.sort_by(|(_, a), (_, b)| b.visible.total_cmp(&a.visible));
    let equivalent = of(Conclusion::Equivalent);
    let others = [
        (!equivalent.is_empty())
            .then(|| sentence("Equivalent", &equivalent, |c| format!("within {}", c.limit()))),
        (!open.is_empty()).then(|| sentence("Not told apart", &open, Comparison::would_take)),
        Some(judged(&family, analysis.rounds)),
    ];
    [first].into_iter().chain(others.into_iter().flatten()).collect()
}

/// `Difference: reuseport under full load: Rate -9.6 % (-10.4 to -8.2); ...`
fn sentence(what: &str, all: &[(&Scene, &Comparison)], text: impl Fn(&Comparison) -> String) -> String {
    let each = |(scene, c): &(&Scene, &Comparison)| {
        let cell = scene.results[c.cell].cell.name();
        format!("{cell} under {}, {} {}", place(scene), c.metric.title(), text(c))
    };
    let named: Vec<String> = all.iter().take(MOST).map(each).collect();
    let more = all.len().saturating_sub(MOST);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{what}: {}{more}.", named.join("; "))
}

/// How many comparisons were judged, and why others were not.
fn judged(family: &[(&Scene, &Comparison)], rounds: usize) -> String {
    let judged = family.iter().filter(|(_, c)| c.is_judged()).count();
    let count = |conclusion| family.iter().filter(|(_, c)| c.conclusion == conclusion).count();
    let reasons = [
        (count(Conclusion::ClientBound), "client-bound"),
        (count(Conclusion::TooFew), "with too few rounds that count"),
    ];
    let reasons: Vec<String> =
        reasons.into_iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")).collect();
    let not = if reasons.is_empty() { String::new() } else { format!("; not judged: {}", list(&reasons)) };
    let metrics: Vec<String> = Metric::ALL
        .iter()
        .filter(|metric| family.iter().any(|(_, c)| c.metric == **metric))
        .map(|metric| metric.title().to_owned())
        .collect();
    format!(
        "Judged: {judged} of {} comparisons of {} over {rounds} rounds{not}.",
        family.len(),
        list(&metrics)
    )
}

/// A change that counts, and whether it is smaller than what is of interest.
fn found(comparison: &Comparison) -> String {
    let small =
        if comparison.is_small() { format!(", within {}", comparison.limit()) } else { String::new() };
    change(comparison) + &small
}

/// A change with its interval, in %, or as a factor if large.
pub fn change(comparison: &Comparison) -> String {
    const MANY: f64 = 400.0;
    let figures = [comparison.change, comparison.interval.low, comparison.interval.high];
    let [change, low, high] = figures;
    if change < MANY {
        return format!("{change:+.1} % ({low:+.1} to {high:+.1})");
    }
    let [change, low, high] = figures.map(|percent| number(1.0 + percent / 100.0, 0));
    format!("{change} times as much ({low} to {high})")
}

/// Size of a difference: half and double are equal.
fn size(comparison: &Comparison) -> f64 {
    (1.0 + comparison.change / 100.0).max(0.001).ln().abs()
}
