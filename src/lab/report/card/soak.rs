//! A soak: growth per day against its limit, and what was lost.

use itertools::Itertools;

use super::findings::Findings;
use super::words::scoped;
use super::{Card, Standing, faults};
use crate::lab::judge::Analysis;
use crate::lab::judge::endurance::Trend;
use crate::lab::report::names;
use crate::lab::report::text::{number, range};
use crate::lab::spec::Spec;

/// Growth of one measure under one load.
#[derive(Clone, Debug)]
pub struct Slope {
    /// `Memory (PSS), with handlers, workers replaced`
    pub what: String,
    pub trend: Trend,
}

impl Slope {
    pub fn all(spec: &Spec, analysis: &Analysis) -> Vec<Self> {
        let mut all = Vec::new();
        for scene in &analysis.scenes {
            let place = names::place(scene, &spec.factors, spec.load.len());
            let several = scene.results.len() > 1;
            for result in scene.own() {
                let of = if several { format!(" of {}", result.cell.name()) } else { String::new() };
                for trend in &result.endurance {
                    let name = format!("{}{of}", trend.name);
                    let parts = [name.as_str(), &place, trend.period];
                    let what = parts.into_iter().filter(|part| !part.is_empty()).join(", ");
                    all.push(Self { what, trend: trend.clone() });
                }
            }
        }
        all
    }

    /// `Memory (PSS) under full load: 3 MiB per day (-2 to 8), limit 48`
    fn says(&self) -> String {
        let Trend { per_day, interval, limit, unit, digits, .. } = self.trend;
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let [per_day, limit] = [per_day, limit].map(|value| number(value, digits));
        format!("{}: {per_day}{unit} per day ({}), limit {limit}", self.what, range(interval, digits))
    }

    /// Of its limit, at most.
    fn share(&self) -> f64 {
        self.trend.interval.high / self.trend.limit
    }
}

pub fn say(findings: &Findings) -> Card {
    let mut slopes: Vec<&Slope> = findings.slopes.iter().collect();
    slopes.sort_by(|a, b| b.share().total_cmp(&a.share()));
    let grew: Vec<&Slope> = slopes.iter().filter(|slope| slope.trend.grew()).copied().collect();
    let is_open = |slope: &&&Slope| !slope.trend.grew() && !slope.trend.is_flat();
    let open: Vec<&Slope> = slopes.iter().filter(is_open).copied().collect();
    let told = findings.losses.iter().all(|lost| !lost.losses.superseded);
    let failed = faults::failures(&findings.losses);
    let lost = failed.as_ref().filter(|_| told);
    let nearest = slopes.first().map_or_else(String::new, |slope| slope.says());
    let advice = match (grew.first(), lost, open.first()) {
        (Some(slope), ..) => format!("Do not let it run for long: {}.", slope.says()),
        (_, Some(lost), _) => format!("Do not rely on it: {lost}."),
        (_, _, Some(slope)) => format!("Run it for longer: {}, which is too wide to judge.", slope.says()),
        _ => format!("Let it run: nothing grew beyond its limit. The nearest: {nearest}."),
    };
    let (standing, word) = match grew.is_empty() && lost.is_none() && !open.is_empty() {
        true => (Standing::Open, "not told apart"),
        false => (Standing::Supported, "supported"),
    };
    let (all, above, cross) = (slopes.len(), grew.len(), open.len());
    let below = all - above - cross;
    let stands =
        format!("{word}: {below} of {all} slopes lie below their limits, {above} above, {cross} cross them");
    const MOST: usize = 3;
    let others = grew
        .iter()
        .chain(&open)
        .map(|slope| format!("{}.", slope.says()))
        .filter(|text| !advice.contains(text.trim_end_matches('.')));
    let mut effects: Vec<String> = others.take(MOST).collect();
    effects.extend(match (&failed, lost) {
        (None, _) => faults::whole(&findings.losses),
        (Some(failed), None) => {
            Some(format!("{failed}; the records do not tell what a struck worker held (method superseded)."))
        }
        (_, Some(lost)) if !grew.is_empty() => Some(format!("{lost}.")),
        _ => Some(format!("Nothing grew beyond its limit; the nearest: {nearest}.")),
    });
    Card { advice: scoped(findings, &advice), standing, stands, effects, ..Card::default() }
}
