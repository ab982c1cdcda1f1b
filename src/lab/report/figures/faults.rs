//! The fault figure: who waits, by when a request was due relative to a fault. One panel per fault and load, the baseline in the
//! colour of the text, and only columns that stand apart in colour.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::runs::{Runs, together};
use super::{MOST_PANELS, Told, heading, headings, joined, places, shown};
use crate::lab::judge::timeline::{by_start, responses};
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::{Caption, Curve, Curves, Dimension, Part, Style};
use crate::lab::report::names;
use crate::lab::report::text::{list, number};
use crate::lab::results::data::{FaultRecord, RunData};
use crate::lab::spec::Fault;

/// Seconds to draw before a fault, and after its end.
const BEFORE_S: f64 = 0.3;
const AFTER_S: f64 = 1.0;
/// A share of slow requests, in %, that is nothing to see.
const CALM: f64 = 5.0;
/// A factor between response times over time that is nothing to see.
const STEADY: f64 = 2.0;
/// Intervals needed to draw a course.
const LEAST: usize = 4;

/// A fault and the run in which it happened.
type Hit<'a> = (&'a RunData, &'a FaultRecord);

pub fn faults(analysis: &Analysis, runs: &Runs) -> Told<Curves> {
    let scenes: Vec<(&Scene, Fault)> =
        analysis.scenes.iter().filter_map(|scene| Some((scene, scene.group.levels.fault?))).collect();
    let all = || scenes.iter().flat_map(|(scene, _)| hits(scene, &scene.results, runs));
    let Some(slow_s) = all().next().map(|(run, _)| slow_s(run)) else { return Told::default() };
    // A share if all records list slow requests one by one.
    let slow_s = slow_s.filter(|slow_s| all().all(|(run, _)| self::slow_s(run) == Some(*slow_s)));
    let by_start = all().all(|(run, _)| by_start(run));
    let mut told = Told::default();
    let mut quiet = Vec::new();
    // Lasting faults and sudden ones, so that all panels of a figure have times to be compared.
    for lasts in [true, false] {
        let of_kind: Vec<(&Scene, Fault)> =
            scenes.iter().filter(|(_, fault)| (fault.lasts_ms > 0) == lasts).copied().collect();
        let mut figure = empty(slow_s, by_start, lasts);
        let mut seen = Vec::new();
        let headings = headings(of_kind.iter().map(|(scene, _)| *scene));
        for ((scene, fault), heading) in of_kind.iter().zip(headings) {
            let part = part(scene, *fault, heading, runs, slow_s.is_some());
            let apart = figure.apart(&part);
            if !part.curves.is_empty() && apart.is_empty() && is_calm(&part, &figure.y) {
                quiet.push(*scene);
            } else if !part.curves.is_empty() && figure.parts.len() < MOST_PANELS {
                seen.push(format!("{}: {}.", self::heading(scene), peaks(&apart, &figure.y)));
                figure.parts.push(part);
            }
        }
        let what = match of_kind.iter().map(|(_, fault)| *fault).all_equal_value() {
            Ok(fault) => names::fault(fault).says,
            Err(_) if lasts => "a fault lasts".into(),
            Err(_) => "a fault comes".into(),
        };
        let when = if lasts { "while" } else { "when" };
        let seen = seen.join(" ");
        figure.caption = Caption::new(format!("Who waits {when} {what}"), figure.caption.note)
            .saying(format!("Around a fault, columns that stand apart from the baseline. {seen}"));
        told.figures.extend((!figure.parts.is_empty()).then_some(figure));
    }
    if !quiet.is_empty() {
        told.says.push(format!("No visible effect on response times: {}.", places(&quiet)));
    }
    told
}

fn empty(slow_s: Option<f64>, by_start: bool, lasts: bool) -> Curves {
    let (name, log) = match slow_s {
        Some(slow_s) => (format!("slower than {} ms or failed, %", number(slow_s * 1e3, 0)), false),
        None => ("p99, ms".into(), true),
    };
    let told = if by_start { "were due" } else { "ended (method superseded)" };
    let mark = if lasts { "Shaded: while the fault lasts." } else { "Dashed: the fault." };
    let note = format!("Requests stand where they {told}, all faults together. {mark}");
    Curves {
        caption: Caption::new("", note),
        x: Dimension::new("seconds since the fault", false),
        y: Dimension { least: CALM * 2.0, ..Dimension::new(&name, log) },
        focus: true,
        ..Curves::default()
    }
}

/// The faults in the runs of these results that count.
fn hits<'a>(scene: &'a Scene, of: &'a [CellResult], runs: &'a Runs) -> impl Iterator<Item = Hit<'a>> {
    let all = of.iter().flat_map(move |result| runs.get(&result.cell, scene));
    all.flat_map(|run| run.faults().map(move |fault| (*run, fault)))
}

/// From when on a request is listed as slow, if all such ones are listed.
fn slow_s(run: &RunData) -> Option<f64> {
    let record = run.record.as_ref()?;
    record.plan.slow_s.filter(|_| record.incidents_left_out == 0 && !record.by_start.is_empty())
}

fn part(scene: &Scene, fault: Fault, (heading, rest): (String, String), runs: &Runs, share: bool) -> Part {
    let curve = |(result, style): (&CellResult, Style)| {
        let hits: Vec<Hit> = hits(scene, std::slice::from_ref(result), runs).collect();
        let points = if share { slow(&hits) } else { p99(&hits) };
        (points.len() >= LEAST).then(|| Curve::new(result.cell.name(), style, points))
    };
    let lasts_s = fault.lasts_ms as f64 / 1e3;
    let count = hits(scene, &scene.results, runs).filter(|(_, fault)| fault.pid != 0).count();
    Part {
        heading,
        note: joined(&rest, &format!("{count} faults, {fault}")),
        curves: shown(scene).filter_map(curve).collect(),
        shades: (lasts_s > 0.0).then_some((0.0, lasts_s)).into_iter().collect(),
        uprights: (lasts_s <= 0.0).then_some(0.0).into_iter().collect(),
    }
}

/// Where faults follow each other, each is drawn between its neighbours.
fn around((run, fault): Hit) -> std::ops::Range<f64> {
    let lasts_s = fault.until_s.map_or(0.0, |until_s| until_s - fault.at_s);
    let times = || run.faults().map(|other| other.at_s - fault.at_s);
    let from_s = times().filter(|at_s| *at_s < 0.0).fold(-BEFORE_S, f64::max);
    from_s..times().filter(|at_s| *at_s > 0.0).fold(lasts_s + AFTER_S, f64::min)
}

fn step_s(hits: &[Hit]) -> f64 {
    hits.iter().filter_map(|(run, _)| Some(run.record.as_ref()?.plan.interval_s)).fold(0.0, f64::max)
}

/// The share of slow and failed requests in %, by when they were due.
fn slow(hits: &[Hit]) -> Vec<(f64, [f64; 3])> {
    let step_s = step_s(hits);
    let mut steps: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for (run, fault) in hits.iter().filter(|_| step_s > 0.0) {
        let (Some(record), range) = (&run.record, around((run, fault))) else { continue };
        for bin in &record.by_start {
            let at_s = f64::midpoint(bin.begin_s, bin.end_s) - record.plan.warmup_s - fault.at_s;
            if range.contains(&at_s) {
                let due =
                    record.incidents.iter().filter(|one| (bin.begin_s..bin.end_s).contains(&one.intended_s));
                let (slow, all) = steps.entry((at_s / step_s).floor() as i64).or_default();
                (*slow, *all) = (*slow + due.count() as u64, *all + bin.completed + bin.failed);
            }
        }
    }
    let point = |(step, (slow, all)): (i64, (u64, u64))| {
        let share = slow as f64 / all.max(1) as f64 * 100.0;
        ((step as f64 + 0.5) * step_s, [share; 3])
    };
    steps.into_iter().filter(|(_, (_, all))| *all > 0).map(point).collect()
}

/// p99 per interval: of requests that were due in it or, in an earlier layout, ended in it.
fn p99(hits: &[Hit]) -> Vec<(f64, [f64; 3])> {
    let track = |hit: &Hit| {
        let moved =
            responses(hit.0, |summary| summary.p99_us).into_iter().map(|(at_s, ms)| (at_s - hit.1.at_s, ms));
        moved.filter(|(at_s, _)| around(*hit).contains(at_s)).collect()
    };
    together(&hits.iter().map(track).collect::<Vec<_>>(), step_s(hits))
}

/// Whether nothing happens to the baseline.
fn is_calm(part: &Part, y: &Dimension) -> bool {
    let baseline = part.curves.iter().filter(|curve| curve.style.is_baseline()).take(1);
    let values = baseline.flat_map(Curve::values);
    let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
    if y.log { high <= low * STEADY } else { high <= CALM }
}

/// `reuseport up to 27 %`
fn peaks(apart: &[&Curve], y: &Dimension) -> String {
    let unit = if y.log { "ms" } else { "%" };
    let one = |curve: &&Curve| {
        format!("{} up to {} {unit}", curve.label, number(curve.values().fold(0.0, f64::max), 0))
    };
    if apart.is_empty() { "all columns alike".into() } else { list(apart.iter().map(one)) }
}
