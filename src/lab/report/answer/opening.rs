//! The beginning of an answer: the spread of connections, or the effect of a fault.

use crate::lab::judge::endurance::Trend;
use crate::lab::judge::losses::Mean;
use crate::lab::judge::{Analysis, CellResult, Kind, Scene};
use crate::lab::report::text::{capital, list, number, percent, place};
use crate::lab::report::view::losses;

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

/// Whether memory, descriptors and latency were stable; `None` if they were not watched.
fn endured(analysis: &Analysis) -> Option<String> {
    let all =
        analysis.scenes.iter().flat_map(|scene| scene.results.iter().map(move |result| (scene, result)));
    let all: Vec<(&Scene, &CellResult, &Trend)> = all
        .flat_map(|(scene, result)| result.endurance.iter().map(move |trend| (scene, result, trend)))
        .collect();
    let name = |(scene, result, trend): &(&Scene, &CellResult, &Trend)| {
        let [low, high, limit] =
            [trend.interval.low, trend.interval.high, trend.limit].map(|value| number(value, trend.digits));
        let (what, who, place, unit) = (trend.name, result.cell.name(), place(scene), trend.unit);
        let change = format!("{what} of {who} under {place}, {}: {low} to {high} {unit}", trend.period);
        format!("{} (limit {limit})", change.trim_end())
    };
    let of = |kind: fn(&Trend) -> bool| -> Vec<String> {
        all.iter().filter(|(.., trend)| kind(trend)).map(name).collect()
    };
    let (grew, open) = (of(Trend::grew), of(|trend| !trend.grew() && !trend.is_flat()));
    let undecided = match open.len() {
        0 => String::new(),
        _ => format!(" Too noisy or too short to say, growth per day: {}.", list(&open)),
    };
    match (all.is_empty(), grew.is_empty()) {
        (true, _) => None,
        (_, true) if open.is_empty() => Some(
            "Memory, descriptors and the median response time grew by less per day than the limits allow."
                .into(),
        ),
        (_, true) => Some(format!("No growth beyond the limits was found.{undecided}")),
        _ => Some(format!("Growth per day beyond the limit: {}.{undecided}", list(&grew))),
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

/// The effect of a fault on clients: how many were late. Where that is not known, p99 of the run would say nothing: it depends on
/// how long the run was.
fn after_fault(scene: &Scene) -> Option<String> {
    let mut known: Vec<(&CellResult, Mean)> =
        own(scene).filter_map(|result| Some((result, result.losses.delayed()?))).collect();
    known.sort_by(|(_, a), (_, b)| a.0.total_cmp(&b.0));
    let text = |(result, (mean, interval)): &(&CellResult, Mean)| {
        let range = interval
            .map(|interval| format!(" ({} to {})", number(interval.low, 1), number(interval.high, 1)));
        format!("{}{} with {}", number(*mean, 1), range.unwrap_or_default(), result.cell.name())
    };
    let late = match known.as_slice() {
        [] => return None,
        [only] => text(only),
        [least, .., most] => format!("from {} to {}", text(least), text(most)),
    };
    Some(format!("{}: connections late per fault, more than without it: {late}.", capital(&place(scene))))
}
