//! Latency distributions: percentile curves of response and service time, and the time to the first byte.

use rayon::prelude::*;

use super::runs::Runs;
use super::{about, shown, style_of};
use crate::lab::judge::curves::{self, PercentilePoint};
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::ecdf::{Distribution, Ecdf};
use crate::lab::plot::percentiles::{Curve, Percentiles};
use crate::lab::report::text::load_line;
use crate::lab::results::data::RunData;
use crate::measure::histogram::{self, Histogram, decode};
use crate::measure::stats;

/// Service time is drawn if it differs from response time by more than this factor somewhere.
const APART: f64 = 1.03;
/// Points of a distribution per factor of ten in 1/(1-q).
const STEPS: f64 = 20.0;

/// `None` without runs that count.
pub fn percentiles(scene: &Scene, analysis: &Analysis, runs: &Runs) -> Option<Percentiles> {
    let band =
        if analysis.enough { "95 % interval of the median" } else { "from the lowest run to the highest" };
    let most = scene.results.iter().map(|result| result.used).max().unwrap_or(0);
    let results: Vec<&CellResult> = shown(scene).filter(|result| !result.curve.is_empty()).collect();
    let curve = |result: &&CellResult| Curve {
        label: result.cell.name(),
        style: style_of(&result.cell),
        points: result
            .curve
            .iter()
            .map(|p| (p.nines, [p.median_ms, p.band_ms.low, p.band_ms.high]))
            .collect(),
        service: if result.cell.twin {
            Vec::new()
        } else {
            service(&result.curve, runs.get(&result.cell, scene))
        },
    };
    let curves: Vec<Curve> = results.par_iter().map(curve).collect();
    (!curves.is_empty()).then(|| Percentiles {
        caption: Caption::new(
            format!("Response time, {}", about(scene)),
            format!("{}. Line: median of {most} runs. Band: {band}.", load_line(scene)),
        ),
        curves,
    })
}

/// Medians over runs at the points of a response curve; empty if equal to the response time.
fn service(response: &[PercentilePoint], runs: &[&RunData]) -> Vec<(f64, f64)> {
    let histograms: Vec<Histogram> = runs.iter().filter_map(|run| phase(run, "service")).collect();
    let at = |point: &PercentilePoint| {
        let quantile = 1.0 - 10_f64.powf(-point.nines);
        let values: Vec<f64> =
            histograms.iter().map(|h| h.value_at_quantile(quantile) as f64 / 1e6).collect();
        Some((point.nines, stats::median(&values)?))
    };
    let service: Vec<(f64, f64)> = response.iter().filter_map(at).collect();
    let apart = service.iter().zip(response).any(|((_, ms), point)| point.median_ms > ms * APART);
    if apart { service } else { Vec::new() }
}

fn phase(run: &RunData, phase: &str) -> Option<Histogram> {
    decode(run.record.as_ref()?.histograms.get(phase)?).ok()
}

/// Distributions of the time to connect and to the first byte, all runs of a cell together; `None` if not
/// recorded.
pub fn first_byte(scene: &Scene, runs: &Runs) -> Option<Ecdf> {
    let results: Vec<&CellResult> = shown(scene).collect();
    let curve = |result: &&CellResult| {
        let runs = runs.get(&result.cell, scene);
        Distribution {
            label: result.cell.name(),
            style: style_of(&result.cell),
            first_byte: distribution(runs, "first_byte"),
            connect: distribution(runs, "connect"),
        }
    };
    let curves: Vec<Distribution> =
        results.par_iter().map(curve).filter(|c| !c.first_byte.is_empty()).collect();
    (!curves.is_empty()).then(|| Ecdf {
        caption: Caption::new(
            format!("Time to connect and to the first byte, {}", about(scene)),
            "All runs that count together. The axis is stretched towards 100 %, where lost packets show.",
        ),
        curves,
    })
}

/// Milliseconds and log10 of 1/(1-q), as far as there are enough requests.
fn distribution(runs: &[&RunData], name: &str) -> Vec<(f64, f64)> {
    let mut whole = histogram::new();
    for part in runs.iter().filter_map(|run| phase(run, name)) {
        whole = histogram::merge([&whole, &part]);
    }
    if whole.is_empty() {
        return Vec::new();
    }
    let reach = curves::reach([whole.len()].into_iter());
    let at = |step: u32| {
        let nines = f64::from(step) / STEPS;
        (whole.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64 / 1e6, nines)
    };
    (0..=(reach * STEPS) as u32).map(at).collect()
}
