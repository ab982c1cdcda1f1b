//! The beginning of an answer: the spread of connections, or the effect of a fault.

use crate::lab::judge::{Analysis, CellResult, Kind, Scene};
use crate::lab::report::text::{TAIL, capital, list, number, percent, place};
use crate::lab::report::view::losses;
use crate::lab::spec::Metric;

/// With more scenes, one sentence summarises them.
const MOST: usize = 4;
/// More strategies are counted, not named.
const MOST_NAMES: usize = 4;

/// How the strategies spread connections: one sentence if it is the same everywhere, otherwise one per scene
/// or a summary. After faults, their effect.
pub fn opening(analysis: &Analysis) -> Vec<String> {
    let calm = analysis.scenes.iter().filter(|scene| !scene.random_faults);
    let (faults, others): (Vec<&Scene>, Vec<&Scene>) =
        calm.partition(|scene| scene.group.levels.fault.is_some());
    let mut sentences: Vec<String> =
        endured(analysis).into_iter().chain(losses::sentence(analysis)).collect();
    if faults.len() <= MOST {
        sentences.extend(faults.into_iter().filter_map(after_fault));
    }
    let spreads: Vec<String> = others.iter().map(|scene| spread(scene)).collect();
    match spreads.as_slice() {
        [] => {}
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            sentences.extend((!first.is_empty()).then(|| format!("{}.", capital(first))));
        }
        several if several.len() > MOST => sentences.extend(over_all(&others)),
        _ => {
            let all = others.iter().zip(&spreads).filter(|(_, spread)| !spread.is_empty());
            sentences.extend(all.map(|(scene, spread)| format!("Under {}: {spread}.", place(scene))));
        }
    }
    sentences
}

/// Whether memory, descriptors, processes and latency were stable; `None` if they were not watched.
fn endured(analysis: &Analysis) -> Option<String> {
    let mut watched = false;
    let mut grown = Vec::new();
    for scene in &analysis.scenes {
        for result in &scene.results {
            watched |= !result.endurance.is_empty();
            for trend in result.endurance.iter().filter(|trend| trend.grew) {
                let [first, last] = [trend.first, trend.last].map(|value| number(value, trend.digits));
                let (what, who, place) = (trend.name, result.cell.name(), place(scene));
                let change = format!("{what} of {who} under {place} from {first} to {last} {}", trend.unit);
                grown.push(change.trim_end().to_owned());
            }
        }
    }
    let flat = "Memory, descriptors, processes and response times did not grow from the first third of the time to the last.";
    match grown.as_slice() {
        [] => watched.then(|| flat.into()),
        _ => Some(format!("Growth from the first third of the time to the last: {}.", list(&grown))),
    }
}

/// Results of columns with runs that count.
fn own(scene: &Scene) -> impl Iterator<Item = &CellResult> {
    scene.results.iter().filter(|result| !result.cell.twin && result.used > 0)
}

/// Grouped by kind of spread.
fn spread(scene: &Scene) -> String {
    let mut parts = Vec::new();
    for kind in [Kind::Even, Kind::RoughlyEven, Kind::Uneven, Kind::Concentrated] {
        let members: Vec<&CellResult> =
            own(scene).filter(|result| result.spread.is_some_and(|spread| spread.kind == kind)).collect();
        let shares = members.iter().filter_map(|result| Some(result.spread?.top1_share));
        let (least, most) = shares.fold((1.0_f64, 0.0_f64), |(low, high), one| (low.min(one), high.max(one)));
        let one = if members.len() == 1 { "s" } else { "" };
        let what = match kind {
            Kind::Even => format!("spread{one} connections evenly"),
            Kind::RoughlyEven => format!("spread{one} connections roughly evenly"),
            Kind::Uneven => format!("spread{one} connections unevenly"),
            Kind::Concentrated => format!("give{one} connections to one worker"),
        };
        let [low, high] = [least, most].map(|share| percent(share, 1));
        let range = if low == high { high } else { format!("{} to {high}", low.trim_end_matches(" %")) };
        let workers = scene.group.levels.workers;
        if !members.is_empty() {
            let names: Vec<String> = members.iter().map(|result| result.cell.name()).collect();
            parts.push(format!("{} {what} (the busiest of {workers} workers gets {range})", list(&names)));
        }
    }
    parts.join("; ")
}

/// The share of the busiest worker over many scenes, the most even strategies first.
fn over_all(scenes: &[&Scene]) -> Option<String> {
    let mut known: Vec<(String, f64, f64)> = Vec::new();
    for result in scenes.iter().flat_map(|scene| own(scene)) {
        let Some(times) = result.spread.map(|spread| spread.max_over_mean) else { continue };
        let name = result.cell.name();
        match known.iter_mut().find(|(other, ..)| *other == name) {
            Some((_, low, high)) => (*low, *high) = (low.min(times), high.max(times)),
            None => known.push((name, times, times)),
        }
    }
    known.sort_by(|a, b| a.2.total_cmp(&b.2));
    let even = known.iter().take_while(|(_, _, high)| Kind::of(0.0, *high) <= Kind::RoughlyEven).count();
    let (even, uneven) = known.split_at(even);
    let mut parts = Vec::new();
    if let Some((_, _, most)) = even.last() {
        let names: Vec<String> = even.iter().map(|(name, ..)| name.clone()).collect();
        let who = if names.len() > MOST_NAMES { format!("{} strategies", names.len()) } else { list(&names) };
        parts.push(format!("at most {} with {who}", number(*most, 2)));
    }
    parts.extend(uneven.iter().map(|(name, low, high)| {
        let [low, high] = [low, high].map(|times| number(*times, 2));
        if low == high { format!("{high} with {name}") } else { format!("{low} to {high} with {name}") }
    }));
    let many = scenes.len();
    let beginning = format!("Over {many} loads, the share of the busiest worker relative to its fair share");
    (!parts.is_empty()).then(|| format!("{beginning}: {}.", parts.join("; ")))
}

/// The effect of a fault on clients: the tail, and failed requests.
fn after_fault(scene: &Scene) -> Option<String> {
    let tail = |result: &&CellResult| result.estimate(TAIL).map(|estimate| estimate.median);
    let mut known: Vec<(&CellResult, f64)> = own(scene).filter_map(|r| Some((r, tail(&r)?))).collect();
    known.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let text = |(result, ms): &(&CellResult, f64)| {
        format!("{} with {}", number(*ms, TAIL.digits()) + " ms", result.cell.name())
    };
    let tails = match known.as_slice() {
        [] => return None,
        [only] => text(only),
        [least, .., most] => format!("from {} to {}", text(least), text(most)),
    };
    Some(format!("{}: p99 is {tails}; {}.", capital(&place(scene)), failed(scene)))
}

/// Failed requests per run, grouped by number.
fn failed(scene: &Scene) -> String {
    let errors = |result: &CellResult| result.estimate(Metric::Errors).map(|estimate| estimate.median);
    let mut known: Vec<(f64, Vec<String>)> = Vec::new();
    for result in own(scene) {
        let Some(count) = errors(result) else { continue };
        match known.iter_mut().find(|(other, _)| *other == count) {
            Some((_, names)) => names.push(result.cell.name()),
            None => known.push((count, vec![result.cell.name()])),
        }
    }
    known.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let all = known.len() == 1;
    let text = |(count, names): &(f64, Vec<String>)| {
        let digits = usize::from(count.fract() != 0.0);
        let count = if *count == 0.0 { "none".into() } else { number(*count, digits) };
        let who = match names.len() {
            _ if all => "any".into(),
            n if n > MOST_NAMES => format!("{n} strategies"),
            _ => list(names),
        };
        format!("{count} with {who}")
    };
    let parts: Vec<String> = known.iter().map(text).collect();
    format!("failed requests per run: {}", parts.join("; "))
}
