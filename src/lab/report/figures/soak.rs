//! Long runs: the slopes of memory, descriptors and response times against their limits, and when faults came.

use itertools::Itertools;

use super::runs::Runs;
use super::{Told, heading, headings, joined, shown};
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::{Analysis, Scene};
use crate::lab::plot::{Caption, Dot, Dots, Key, Quantity, Sample, Scale, Style};
use crate::lab::report::text::{list, number};

/// Growth per day of each measure, in percent of its limit; a panel per scene.
pub fn slopes(analysis: &Analysis) -> Told<Dots> {
    let scenes: Vec<&Scene> = analysis.scenes.iter().filter(|scene| !trends(scene).is_empty()).collect();
    let trended = scenes.iter().flat_map(|scene| trends(scene)).map(|(name, style, _)| (name, style));
    let rows: Vec<(String, Style)> = trended.unique_by(|(name, _)| name.clone()).collect();
    if rows.is_empty() {
        return Told::default();
    }
    let quantity = |(scene, (name, rest)): (&&Scene, (String, String))| {
        let all = trends(scene);
        let value = |(row, _): &(String, Style)| {
            let (_, _, trend) = all.iter().find(|(name, ..)| name == row)?;
            let of_limit = |per_day: f64| per_day / trend.limit * 100.0;
            let text = format!("{} {}", number(trend.per_day, trend.digits), trend.unit);
            let (text, full) = (text.trim_end().to_owned(), trend.grew() || trend.is_flat());
            let dot = Dot::value(of_limit(trend.per_day), trend.interval.map(of_limit), 0);
            Some(Dot { text, full, ..dot })
        };
        Quantity {
            name,
            unit: joined(&rest, "growth per day, % of the limit"),
            line: Some(100.0),
            ends: ["", "worse \u{2192}"],
            values: rows.iter().map(value).collect(),
            ..Quantity::default()
        }
    };
    let quantities: Vec<Quantity> =
        scenes.iter().zip(headings(scenes.iter().copied())).map(quantity).collect();
    let grew = list(scenes.iter().flat_map(|scene| {
        let grew = trends(scene).into_iter().filter(|(.., trend)| trend.grew());
        grew.map(move |(name, ..)| format!("{name}, {}", heading(scene)))
    }));
    let says = match grew.as_str() {
        "" => "no growth beyond a limit".to_owned(),
        grew => format!("beyond the limit: {grew}"),
    };
    let note = "Slope over a run with its 95 % interval, at the right in units per day. Dashed: the limit.";
    let figure = Dots {
        caption: Caption::new("Growth against its limits", note).saying(format!("Growth per day: {says}.")),
        rows,
        quantities,
        keys: vec![Key::new("pale: the interval holds the limit, undecided", Sample::Nothing)],
        one_scale: true,
    };
    Told { figures: vec![figure], says: Vec::new() }
}

/// With the names of their rows.
fn trends(scene: &Scene) -> Vec<(String, Style, &Trend)> {
    let several = scene.results.len() > 1;
    let name = |column: String, trend: &Trend| {
        let whose = if several { format!("{column}: ") } else { String::new() };
        format!("{whose}{}, {}", trend.name, trend.period)
    };
    let each = shown(scene).flat_map(|(result, style)| {
        result.endurance.iter().map(move |trend| (name(result.cell.name(), trend), style, trend))
    });
    each.collect()
}

/// When faults came in the first run of each scene: a lane for each.
pub fn lanes(analysis: &Analysis, runs: &Runs) -> Told<Dots> {
    let lane = |scene: &Scene| {
        let (result, _) = shown(scene).next()?;
        let run = runs.get(&result.cell, scene).first()?;
        let times: Vec<f64> = run.faults().map(|fault| fault.at_s).collect();
        (scene.random_faults && !times.is_empty()).then(|| (heading(scene), times))
    };
    let lanes: Vec<(String, Vec<f64>)> = analysis.scenes.iter().filter_map(lane).collect();
    let Some(end_s) = lanes.iter().flat_map(|(_, times)| times).copied().reduce(f64::max) else {
        return Told::default();
    };
    let value = |(_, times): &(String, Vec<f64>)| {
        Some(Dot { text: times.len().to_string(), full: true, points: times.clone(), ..Dot::default() })
    };
    let quantity = Quantity {
        name: "Faults".into(),
        unit: "seconds since the measurement began; at the right their number".into(),
        scale: Scale::Exact(0.0, end_s),
        values: lanes.iter().map(value).collect(),
        ..Quantity::default()
    };
    let count: usize = lanes.iter().map(|(_, times)| times.len()).sum();
    let figure = Dots {
        caption: Caption::new("When faults came", "One lane per load and set-up.")
            .saying(format!("{count} faults at random times.")),
        rows: lanes.into_iter().map(|(name, _)| (name, Style::OTHER)).collect(),
        quantities: vec![quantity],
        ..Dots::default()
    };
    Told { figures: vec![figure], says: Vec::new() }
}
