//! Runs over time, where something changes: response times, and the length of the accept queues.

use super::runs::{Runs, Track, band_text, together};
use super::{heading, shown};
use crate::lab::judge::timeline::responses;
use crate::lab::judge::{CellResult, Scene};
use crate::lab::plot::{Caption, Curve, Curves, Dimension, Part, Style};
use crate::lab::results::data::{RunData, Sample};

/// Intervals needed to draw a course.
const LEAST: usize = 4;
/// Queues shorter than this are nothing to see.
const DEEP: f64 = 4.0;

/// p99 per interval, where columns stand apart.
pub fn latency(scene: &Scene, runs: &Runs) -> Option<Curves> {
    if scene.group.levels.fault.is_some() {
        return None;
    }
    let track = |run: &RunData| -> (Track, f64) {
        let step_s = run.record.as_ref().map_or(0.0, |record| record.plan.interval_s);
        (responses(run, |summary| summary.p99_us), step_s)
    };
    let figure = course(scene, runs, track, "p99 over time", Dimension::new("p99, ms", true))?;
    (!figure.apart(&figure.parts[0]).is_empty()).then_some(figure)
}

/// The longest accept queue at each sample.
pub fn queues(scene: &Scene, runs: &Runs) -> Option<Curves> {
    let deepest = |run: &RunData| -> (Track, f64) {
        let depth = |sample: &Sample| Some((sample.at_s, f64::from(*sample.queue.iter().max()?)));
        (run.series.samples.iter().filter_map(depth).collect(), run.series.interval_s)
    };
    let y = Dimension { least: DEEP, ..Dimension::new("connections in the longest queue", false) };
    let mut figure = course(scene, runs, deepest, "Connections waiting to be accepted", y)?;
    let most = figure.parts[0].curves.iter().flat_map(Curve::values).fold(0.0, f64::max);
    let (overflows, drops) = losses(scene, runs);
    figure.caption.note += &format!(" {overflows} overflows and {drops} drops in all runs.");
    (most >= DEEP || overflows + drops > 0).then_some(figure)
}

/// `track`: of a run, and its interval in s.
fn course(
    scene: &Scene,
    runs: &Runs,
    track: impl Fn(&RunData) -> (Track, f64),
    title: &str,
    y: Dimension,
) -> Option<Curves> {
    let curve = |(result, style): (&CellResult, Style)| {
        let tracks = runs.get(&result.cell, scene).iter().map(|run| track(run));
        let (tracks, steps_s): (Vec<Track>, Vec<f64>) = tracks.unzip();
        let points = together(&tracks, steps_s.into_iter().fold(0.0, f64::max));
        (points.len() >= LEAST).then(|| Curve::new(result.cell.name(), style, points))
    };
    let curves: Vec<Curve> = shown(scene).filter_map(curve).collect();
    let begin_s = curves.iter().flat_map(|curve| &curve.points).map(|(at_s, _)| *at_s).fold(0.0, f64::min);
    let warm = if begin_s < 0.0 { " Shaded: the warm-up." } else { "" };
    let note = format!("Line: median over runs. Band: {}.{warm}", band_text(scene));
    let shades = (begin_s < 0.0).then_some((begin_s, 0.0)).into_iter().collect();
    (!curves.is_empty()).then(|| Curves {
        caption: Caption::new(format!("{title}, {}", heading(scene)), note),
        x: Dimension::new("seconds", false),
        y,
        parts: vec![Part { curves, shades, ..Part::default() }],
        focus: true,
        ..Curves::default()
    })
}

/// Overflows and drops of listening sockets in all runs.
fn losses(scene: &Scene, runs: &Runs) -> (u64, u64) {
    let all = scene.results.iter().flat_map(|result| runs.get(&result.cell, scene));
    let ends = all.filter_map(|run| run.series.samples.first().zip(run.series.samples.last()));
    let sum = |of: fn(&Sample) -> u64| -> u64 {
        ends.clone().map(|(first, last)| of(last).saturating_sub(of(first))).sum()
    };
    (sum(|sample| sample.overflows), sum(|sample| sample.drops))
}
