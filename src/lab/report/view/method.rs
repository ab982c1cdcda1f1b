//! Method and environment, for the end of a report: how runs were made and judged, what does not count and why, and where they ran.

use itertools::Itertools;
use serde_json::json;

use crate::lab::error::Result;
use crate::lab::judge::capacity::Capacity;
use crate::lab::judge::curves::BEYOND;
use crate::lab::judge::length::{EXCEEDANCES, RELAXATIONS};
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::{ALPHA, Analysis, CellResult, ENOUGH_ROUNDS, Scale, Scene, jobs};
use crate::lab::report::templates;
use crate::lab::report::text::{capital, few, list, percent, place};
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{self, Cell};
use crate::lab::spec::{Metric, Spec};
use crate::measure::stats;

/// Scenes without a run that counts that are named.
const MOST_EMPTY: usize = 3;
/// More strategies with void runs are counted, not named.
const MOST_NAMES: usize = 4;

/// What does not count, and the method: the sentences of method.txt.
pub fn method(data: &Data, analysis: &Analysis) -> Result<Vec<String>> {
    let (spec, scenes) = (&data.spec, &analysis.scenes);
    let count = |verdict| analysis.rows.iter().filter(|row| row.verdict == verdict).count();
    let judged = || scenes.iter().flat_map(|scene| &scene.judged);
    let repeated = match analysis.repeated {
        0 => "no round was".to_owned(),
        1 => "1 round was".to_owned(),
        many => format!("{many} rounds were"),
    };
    let content = json!({
        "skipped": skipped(analysis),
        "empty": scenes.iter().filter_map(|scene| empty(scene, analysis)).take(MOST_EMPTY).collect::<Vec<_>>(),
        "counts": {
            "runs": analysis.rows.len(), "invalid": count(Verdict::Invalid),
            "client_bound": count(Verdict::ClientBound), "noisy": count(Verdict::Noisy),
        },
        "limits": {
            "exceedances": EXCEEDANCES.to_string(), "relaxations": RELAXATIONS.to_string(),
            "beyond": BEYOND.to_string(), "rounds": ENOUGH_ROUNDS, "alpha": ALPHA,
        },
        "struck": scenes.iter().any(Scene::has_fault),
        "repeated": repeated,
        "voids": voids(analysis),
        "p": analysis.voids.p,
        "not_judged": not_judged(analysis),
        "short": list(scenes.iter().filter_map(short)),
        "warmup": spec.warmup_s.to_string(),
        "measured": super::measured(spec),
        "rounds": spec.rounds,
        "seed": spec.seed,
        "extra": spec.extra_rounds(),
        "enough": analysis.enough,
        "jobs": jobs::source(data),
        "twin": spec.twin,
        "twice": if spec.one_twin { spec.baseline.as_str() } else { "What others are compared with" },
        "judged": list(judged().map(|metric| of_interest(*metric, spec)).unique()),
        "per_fault": judged().any(|metric| metric.is_per_fault()),
        "against": spec.against.iter().map(|(column, other)| format!("{column} with {other}")).join(", "),
        "options": plan::cells(spec).iter().any(Cell::has_options),
        "rules": spec.rules,
    });
    templates::sentences("method.txt", include_str!("method.txt"), &content)
}

fn of_interest(metric: Metric, spec: &Spec) -> String {
    let least = spec.least_effect(metric);
    let limit = match Scale::of(metric) {
        Scale::Ratio => percent(least, 0),
        Scale::Difference => format!("{least} per fault"),
    };
    format!("{} (least effect of interest {limit})", metric.title())
}

fn skipped(analysis: &Analysis) -> Vec<String> {
    let skipped = analysis.rows.iter().filter(|row| row.verdict == Verdict::Skipped);
    let sentence =
        |row: &Row| format!("{} was not run: {}.", row.peer.as_ref().unwrap_or(&row.listener), row.why());
    skipped.map(sentence).unique().collect()
}

/// A scene without a run that counts, and the first reason.
fn empty(scene: &Scene, analysis: &Analysis) -> Option<String> {
    let made: usize = scene.results.iter().map(|result| result.runs).sum();
    if made == 0 || scene.results.iter().any(|result| result.used > 0) {
        return None;
    }
    let is_own = |row: &&Row| {
        row.load == scene.load.name && scene.results.iter().any(|result| result.cell.id == row.cell)
    };
    let why = analysis.rows.iter().filter(is_own).find(|row| row.verdict == Verdict::Invalid)?.why();
    Some(format!("{}: none of {made} runs counts; reason of the first: {why}.", capital(&place(scene))))
}

/// A load whose runs are shorter than percentiles need.
fn short(scene: &Scene) -> Option<String> {
    let lengths = scene.results.iter().filter_map(|result| result.length.filter(|length| !length.enough()));
    let least =
        lengths.min_by(|a, b| a.beyond_p99.total_cmp(&b.beyond_p99)).filter(|_| !scene.has_fault())?;
    let relaxations = least.relaxations.map(|times| format!(", {times:.0} relaxation times"));
    let relaxations = relaxations.unwrap_or_default();
    Some(format!("{} ({:.0} requests beyond p99{relaxations})", place(scene), least.beyond_p99))
}

/// The strategies with void runs; empty without void runs.
fn voids(analysis: &Analysis) -> String {
    let affected = analysis.voids.strategies.iter().filter(|rate| rate.void > 0);
    let each = affected.map(|rate| format!("{} {} of {}", rate.name, rate.void, rate.runs));
    few(&each.collect::<Vec<_>>(), MOST_NAMES, "strategies")
}

fn not_judged(analysis: &Analysis) -> Vec<String> {
    let of = |scene: &Scene, result: &CellResult| {
        let why = result.not_judged.as_ref()?;
        Some(format!("{} is not judged under {}: {why}.", result.cell.name(), place(scene)))
    };
    let all = analysis.scenes.iter();
    all.flat_map(|scene| scene.results.iter().filter_map(move |result| of(scene, result))).collect()
}

/// Names and texts of facts.txt.
pub fn facts(data: &Data) -> Result<Vec<(String, String)>> {
    let capacities: Vec<String> = Capacity::all(&data.runs).iter().map(ToString::to_string).collect();
    let content = json!({ "environment": data.environment, "capacities": capacities, "noise": noise(data) });
    let lines = templates::sentences("facts.txt", include_str!("facts.txt"), &content)?;
    let fact = |line: &String| line.split_once(": ").map(|(name, text)| (name.to_owned(), text.to_owned()));
    Ok(lines.iter().filter_map(fact).collect())
}

/// How late a sleeping thread woke up in ms, the median of the runs' p99 and the most; `None` without a probe.
fn noise(data: &Data) -> Option<[f64; 2]> {
    let heard = data.runs.iter().map(|run| run.noise).filter(|noise| noise.hiccup_max_us > 0.0);
    let late: Vec<f64> = heard.clone().map(|noise| noise.hiccup_p99_us / 1e3).collect();
    Some([stats::median(&late)?, heard.map(|noise| noise.hiccup_max_us / 1e3).fold(0.0, f64::max)])
}
