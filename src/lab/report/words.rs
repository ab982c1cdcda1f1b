//! The answer in words: sentences that say no more than the judge found.

use crate::lab::judge::{Analysis, Call, CellResult, ENOUGH_ROUNDS, Kind, METRICS, Scene};
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
            format!("{} requests/s ({})", number(rate, 0), scene.load.describe())
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
    let mut sentences: Vec<String> = Vec::new();
    let many = analysis.scenes.iter().any(|scene| scene.group != analysis.scenes[0].group);
    for scene in &analysis.scenes {
        let group = if many { format!(", {} workers, {}", scene.group.workers, scene.group.respond) } else { String::new() };
        let place = format!("{} ({}{group})", capital(&scene.load.name), load_line(scene));
        let spread = spread(scene);
        if !spread.is_empty() {
            sentences.push(format!("{place}: {spread}."));
        }
        sentences.extend(costs(scene).map(|costs| format!("{place}: {costs}.")));
    }
    sentences.push(judgement(analysis));
    sentences.extend(left_out(analysis));
    sentences
}

/// The text with a capital in front.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// How each strategy spread the connections, strategies of one kind together.
fn spread(scene: &Scene) -> String {
    let mut parts = Vec::new();
    for kind in [Kind::Turn, Kind::Hash, Kind::Preference] {
        let members: Vec<String> = scene
            .results
            .iter()
            .filter(|result| !result.cell.twin)
            .filter_map(|result| Some((result, result.spread.filter(|spread| spread.kind == kind)?)))
            .map(|(result, spread)| {
                format!("{} (busiest of {} workers {}, Jain {:.4})", result.cell.id, result.cell.workers, percent(spread.top1_share, 1), spread.jain)
            })
            .collect();
        let what = match kind {
            Kind::Turn => "more evenly than chance would, as in turn",
            Kind::Hash => "as evenly as a fair hash",
            Kind::Preference => "less evenly than a fair hash would",
        };
        if !members.is_empty() {
            parts.push(format!("{} spread connections {what}", list(&members)));
        }
    }
    parts.join("; ")
}

/// Rate and tail of each strategy.
fn costs(scene: &Scene) -> Option<String> {
    let one = |result: &CellResult| {
        let rate = (scene.load.closed.is_some() && !result.client_bound)
            .then(|| result.estimates[0].map(|estimate| format!("{} requests/s, ", number(estimate.median, 0))))
            .flatten()
            .unwrap_or_default();
        let tail = result.estimates[2]?;
        let cpu = result.estimates[3]?;
        Some(format!(
            "{} {rate}p99 {} ms, {} us of CPU per connection",
            result.cell.id,
            number(tail.median, METRICS[2].digits),
            number(cpu.median, 0)
        ))
    };
    let parts: Vec<String> = scene.results.iter().filter(|result| !result.cell.twin).filter_map(one).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What may be concluded.
fn judgement(analysis: &Analysis) -> String {
    if analysis.rows.is_empty() {
        return "No run was made: there is nothing to say.".into();
    }
    if !analysis.enough {
        return format!(
            "{} {} too few rounds to judge ({ENOUGH_ROUNDS} are needed): the figures are estimates, and no strategy is ranked by them.",
            analysis.rounds,
            if analysis.rounds == 1 { "round is" } else { "rounds are" }
        );
    }
    let mut found = Vec::new();
    for scene in &analysis.scenes {
        for comparison in scene.comparisons.iter().filter(|comparison| comparison.call == Call::Differs) {
            found.push(format!(
                "{} of {} under {} differs from {} by {:+.1} % ({:+.1} to {:+.1})",
                METRICS[comparison.metric].title,
                scene.results[comparison.cell].cell.id,
                scene.load.name,
                scene.results[0].cell.id,
                comparison.median,
                comparison.interval.low,
                comparison.interval.high
            ));
        }
    }
    if found.is_empty() {
        return format!("No difference from the baseline counts over {} rounds.", analysis.rounds);
    }
    format!("Over {} rounds: {}.", analysis.rounds, found.join("; "))
}

/// What is missing or marked.
fn left_out(analysis: &Analysis) -> Vec<String> {
    let count = |verdict: Verdict| analysis.rows.iter().filter(|row| row.verdict == verdict).count();
    let all = analysis.rows.len();
    let mut sentences = Vec::new();
    if count(Verdict::Invalid) > 0 {
        sentences.push(format!("{} of {all} runs are INVALID and left out; the ledger says why.", count(Verdict::Invalid)));
    }
    if count(Verdict::ClientBound) > 0 {
        sentences.push(format!(
            "In {} of {all} runs the load generator was the limit (CLIENT-BOUND): their rates say nothing about the server.",
            count(Verdict::ClientBound)
        ));
    }
    if count(Verdict::Noisy) > 0 {
        sentences.push(format!("{} of {all} runs were disturbed by other machines on the host (NOISY).", count(Verdict::Noisy)));
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
