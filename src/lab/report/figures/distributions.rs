//! Distributions of a scene: percentiles of response and service time, and the time to the first byte. Equal ones are not drawn.

use std::f64::consts::LOG10_2;

use itertools::Itertools;
use rayon::prelude::*;

use super::runs::Runs;
use super::{heading, shown};
use crate::lab::judge::curves::{self, PercentilePoint};
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::{Caption, Curve, Curves, Dimension, Part, Style};
use crate::lab::report::text::load_line;
use crate::lab::results::data::RunData;
use crate::measure::histogram::{self, Histogram, decode};

/// Service time is drawn if it differs from response time by more than this factor somewhere.
const APART: f64 = 1.03;
/// Points of a distribution per factor of ten in 1/(1-q).
const STEPS: f64 = 20.0;
/// Percentiles named on the axis, by log10 of 1/(1-q).
const NAMED: [(f64, &str); 6] =
    [(LOG10_2, "50 %"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"), (5.0, "99.999 %")];
/// When Linux retransmits an unanswered SYN: 1, 3 and 7 s after the first.
const RETRANSMITS_MS: [(f64, &str); 3] = [(1000.0, "SYN again, 1 s"), (3000.0, "3 s"), (7000.0, "7 s")];

/// Unless all columns are equal.
fn figure(caption: Caption, curves: Vec<Curve>, patterns: [&'static str; 2]) -> Option<Curves> {
    let ticks = NAMED.map(|(nines, name)| (nines, name.to_owned())).to_vec();
    let figure = Curves {
        caption,
        x: Dimension { ticks, ..Dimension::new("share of requests at least as fast", false) },
        y: Dimension::new("ms", true),
        parts: vec![Part { curves, ..Part::default() }],
        patterns: Some(patterns),
        ..Curves::default()
    };
    let part = &figure.parts[0];
    let alone = part.curves.iter().filter(|curve| !curve.style.hollow).count() == 1;
    (alone || !figure.apart(part).is_empty()).then_some(figure)
}

pub fn percentiles(scene: &Scene, analysis: &Analysis, runs: &Runs) -> Option<Curves> {
    let band = if analysis.enough { "the 95 % interval" } else { "from the lowest run to the highest" };
    let results: Vec<(&CellResult, Style)> =
        shown(scene).filter(|(result, _)| !result.curve.is_empty()).collect();
    let curve = |(result, style): &(&CellResult, Style)| {
        let point = |p: &PercentilePoint| (p.nines, [p.ms.median, p.ms.interval.low, p.ms.interval.high]);
        let service = || service(&result.curve, runs.get(&result.cell, scene));
        let dashed = if result.cell.twin { Vec::new() } else { service() };
        Curve { dashed, ..Curve::new(result.cell.name(), *style, result.curve.iter().map(point).collect()) }
    };
    let note = format!("{}. All runs that count together. Band: {band}.", load_line(scene));
    let caption = Caption::new(format!("Response time, {}", heading(scene)), note);
    figure(caption, results.par_iter().map(curve).collect(), ["response time", "service time"])
}

/// At the points of a response curve; empty if equal to the response time.
fn service(response: &[PercentilePoint], runs: &[&RunData]) -> Vec<(f64, f64)> {
    let whole = together(runs, "service");
    if whole.is_empty() {
        return Vec::new();
    }
    let service: Vec<(f64, f64)> =
        response.iter().map(|point| (point.nines, at(&whole, point.nines))).collect();
    let apart = service.iter().zip(response).any(|((_, ms), point)| point.ms.median > ms * APART);
    if apart { service } else { Vec::new() }
}

fn together(runs: &[&RunData], phase: &str) -> Histogram {
    let of = |run: &&RunData| decode(run.record.as_ref()?.histograms.get(phase)?).ok();
    histogram::merge(&runs.iter().filter_map(of).collect::<Vec<_>>())
}

/// In ms, where log10 of 1/(1-q) is `nines`.
fn at(whole: &Histogram, nines: f64) -> f64 {
    whole.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64 / 1e6
}

/// The time to connect and to the first byte, all runs of a cell together.
pub fn first_byte(scene: &Scene, runs: &Runs) -> Option<Curves> {
    let results: Vec<(&CellResult, Style)> = shown(scene).collect();
    let curve = |(result, style): &(&CellResult, Style)| {
        let runs = runs.get(&result.cell, scene);
        let points = distribution(runs, "first_byte").into_iter().map(|(nines, ms)| (nines, [ms; 3]));
        let dashed = distribution(runs, "connect");
        Curve { dashed, ..Curve::new(result.cell.name(), *style, points.collect()) }
    };
    let curves: Vec<Curve> = results.par_iter().map(curve).filter(|curve| !curve.points.is_empty()).collect();
    let slowest = curves.iter().filter_map(|curve| curve.values().last()).fold(0.0, f64::max);
    let lost = RETRANSMITS_MS.iter().filter(|(ms, _)| *ms <= slowest * 1.05);
    let lost = lost.map(|(_, name)| name).join(", ");
    let lost = if lost.is_empty() { lost } else { format!(" Steps at {lost} are lost packets.") };
    let title = format!("Time to connect and to the first byte, {}", heading(scene));
    let caption = Caption::new(title, format!("All runs that count together.{lost}"));
    figure(caption, curves, ["first byte", "connect"])
}

/// log10 of 1/(1-q) and milliseconds, as far as there are enough requests.
fn distribution(runs: &[&RunData], name: &str) -> Vec<(f64, f64)> {
    let whole = together(runs, name);
    if whole.is_empty() {
        return Vec::new();
    }
    let reach = curves::reach([whole.len()].into_iter());
    let nines = (0..=(reach * STEPS) as u32).map(|step| f64::from(step) / STEPS);
    nines.map(|nines| (nines, at(&whole, nines))).collect()
}
