//! The answer in words: sentences that say no more than the judge found.

use crate::lab::judge::{Analysis, Call, CellResult, Comparison, ENOUGH_ROUNDS, Kind, Scene};
use crate::lab::metrics::METRICS;
use crate::lab::rows::Verdict;

/// `0.251` as `25.1 %`.
pub fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

/// A number with thousands apart: `12,345.6`.
pub fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let negative = value < 0.0 && text.chars().any(|c| ('1'..='9').contains(&c));
    format!("{}{grouped}{rest}", if negative { "-" } else { "" })
}

/// The load of a scene with the rate that it came to.
pub fn load_line(scene: &Scene) -> String {
    match scene.offered_per_s {
        Some(rate) if scene.load.open.is_none() => {
            format!("{} requests/s, {}", number(rate, 0), scene.load.describe())
        }
        _ => scene.load.describe(),
    }
}

/// A list in a sentence: `a, b and c`.
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The answer, most important first.
pub fn answer(analysis: &Analysis) -> Vec<String> {
    let mut sentences = leads(analysis);
    sentences.extend(analysis.scenes.iter().filter_map(|scene| figures(scene, analysis)));
    sentences.push(judgement(analysis));
    sentences.extend(left_out(analysis));
    sentences
}

/// The text with a capital in front.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// How the strategies spread connections: one sentence when it is the same everywhere, otherwise one per scene.
fn leads(analysis: &Analysis) -> Vec<String> {
    let spreads: Vec<String> = analysis.scenes.iter().map(spread).collect();
    match spreads.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            (!first.is_empty()).then(|| format!("{}.", capital(first))).into_iter().collect()
        }
        _ => {
            let all = analysis.scenes.iter().zip(&spreads).filter(|(_, spread)| !spread.is_empty());
            all.map(|(scene, spread)| format!("Under {}: {spread}.", place(scene, analysis))).collect()
        }
    }
}

/// A scene's name, with what tells it from others.
fn place(scene: &Scene, analysis: &Analysis) -> String {
    let alone = analysis.scenes.iter().all(|other| other.group == scene.group);
    let group = &scene.group;
    let more = if alone { String::new() } else { format!(", {} workers, {}", group.workers, group.respond) };
    format!("{}{more}", scene.load.name)
}

/// How each strategy spread the connections, strategies of one kind together.
fn spread(scene: &Scene) -> String {
    let mut parts = Vec::new();
    for kind in [Kind::Turn, Kind::Hash, Kind::Preference] {
        let is = |result: &&CellResult| {
            !result.cell.twin && result.spread.is_some_and(|spread| spread.kind == kind)
        };
        let members: Vec<String> =
            scene.results.iter().filter(is).map(|result| result.cell.id.clone()).collect();
        let one = if members.len() == 1 { "s" } else { "" };
        let what = match kind {
            Kind::Turn => format!("spread{one} connections more evenly than chance would, as in turn"),
            Kind::Hash => format!("spread{one} connections about as evenly as a fair hash would"),
            Kind::Preference => format!("spread{one} connections less evenly than a fair hash would"),
        };
        if !members.is_empty() {
            parts.push(format!("{} {what}", list(&members)));
        }
    }
    parts.join("; ")
}

/// Rate, tail and largest share of each strategy.
fn figures(scene: &Scene, analysis: &Analysis) -> Option<String> {
    let one = |result: &CellResult| {
        let rate = result.estimates[0].filter(|_| scene.load.closed.is_some() && !result.client_bound);
        let rate = rate.map(|rate| format!("{} requests/s, ", number(rate.median, 0))).unwrap_or_default();
        let tail = number(result.estimates[2]?.median, METRICS[2].digits);
        let busiest = result.spread.map(|spread| {
            format!(
                ", busiest of {} workers {} (Jain {:.4})",
                result.cell.workers,
                percent(spread.top1_share, 1),
                spread.jain
            )
        });
        Some(format!("{} {rate}p99 {tail} ms{}", result.cell.id, busiest.unwrap_or_default()))
    };
    let parts: Vec<String> =
        scene.results.iter().filter(|result| !result.cell.twin).filter_map(one).collect();
    let place = capital(&place(scene, analysis));
    (!parts.is_empty()).then(|| format!("{place}, {}: {}.", load_line(scene), parts.join("; ")))
}

/// What may be concluded.
fn judgement(analysis: &Analysis) -> String {
    if analysis.rows.is_empty() {
        return "No run was made: there is nothing to say.".into();
    }
    if !analysis.enough {
        return format!(
            "Too few rounds to judge ({} of the {ENOUGH_ROUNDS} that it takes): all figures are estimates, and no strategy is ranked by them.",
            analysis.rounds
        );
    }
    let mut found = Vec::new();
    for scene in &analysis.scenes {
        for (cell, result) in scene.results.iter().enumerate() {
            let differs = |c: &&Comparison| c.cell == cell && c.call == Call::Differs;
            let each = |c: &Comparison| {
                let title = METRICS[c.metric].title;
                format!("{title} {:+.1} % ({:+.1} to {:+.1})", c.median, c.interval.low, c.interval.high)
            };
            let all: Vec<String> = scene.comparisons.iter().filter(differs).map(each).collect();
            if !all.is_empty() {
                found.push(format!(
                    "{} under {}: {}",
                    result.cell.id,
                    place(scene, analysis),
                    all.join(", ")
                ));
            }
        }
    }
    if found.is_empty() {
        return format!("No difference from the baseline counts over {} rounds.", analysis.rounds);
    }
    format!("Differences from the baseline that count over {} rounds: {}.", analysis.rounds, found.join("; "))
}

/// What is missing or marked.
fn left_out(analysis: &Analysis) -> Vec<String> {
    let count = |verdict: Verdict| analysis.rows.iter().filter(|row| row.verdict == verdict).count();
    let all = analysis.rows.len();
    let mut sentences = Vec::new();
    if count(Verdict::Invalid) > 0 {
        sentences.push(format!(
            "{} of {all} runs are INVALID and left out; the ledger says why.",
            count(Verdict::Invalid)
        ));
    }
    if count(Verdict::ClientBound) > 0 {
        sentences.push(format!(
            "In {} of {all} runs the load generator was the limit (CLIENT-BOUND): their rates say nothing about the server.",
            count(Verdict::ClientBound)
        ));
    }
    if count(Verdict::Noisy) > 0 {
        sentences.push(format!(
            "{} of {all} runs were disturbed by other machines on the host (NOISY).",
            count(Verdict::Noisy)
        ));
    }
    sentences
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
