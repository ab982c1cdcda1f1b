//! The lead figure: how far each column stands from the baseline in the metric that is judged, in every scene on one scale, the worst
//! first. What is counted per fault is a difference, everything else a ratio.

use itertools::Itertools;

use super::{MOST_PANELS, Told, columns, heading, headings, joined, places};
use crate::lab::judge::{Analysis, Comparison, Conclusion, Scene};
use crate::lab::plot::{Caption, Dot, Dots, Key, Quantity, Sample, Scale, Style};
use crate::lab::report::text::{list, number, range};
use crate::lab::spec::Metric;

/// With more columns, those within the noise are named, not drawn.
const MOST_ROWS: usize = 6;

/// One metric of one scene.
struct Panel<'a> {
    scene: &'a Scene,
    metric: Metric,
    comparisons: Vec<&'a Comparison>,
    /// How far apart the baseline is from itself (A/A), or else the least effect of interest.
    noise: f64,
}

pub fn lead(analysis: &Analysis) -> Told<Dots> {
    let all = analysis.scenes.iter().flat_map(panels);
    let (mut panels, quiet): (Vec<Panel>, Vec<Panel>) =
        all.partition(|panel| panel.comparisons.iter().any(|c| panel.shows(c)));
    let mut says = Vec::new();
    if panels.is_empty() && quiet.len() <= MOST_PANELS {
        panels = quiet;
    } else if !quiet.is_empty() {
        let places = places(&quiet.iter().map(|panel| panel.scene).collect::<Vec<_>>());
        says.push(format!("No visible difference in the metric that is judged: {places}."));
    }
    let left_out = panels.len().saturating_sub(MOST_PANELS);
    if left_out > 0 {
        panels.sort_by(|a, b| b.farthest().total_cmp(&a.farthest()));
        panels.truncate(MOST_PANELS);
        says.push(format!("The figure has the {MOST_PANELS} loads and set-ups with the largest changes; {left_out} more are in the tables."));
    }
    if panels.is_empty() {
        return Told { figures: Vec::new(), says };
    }
    let (rows, within) = rows(&panels);
    if !within.is_empty() {
        says.push(format!("No visible difference from the baseline: {}.", list(&within)));
    }
    Told { figures: vec![figure(&panels, rows, analysis)], says }
}

/// One per judged metric.
fn panels(scene: &Scene) -> Vec<Panel<'_>> {
    let primary = scene.comparisons.iter().filter(|c| c.primary).map(|c| c.metric);
    let panel = |metric: Metric| {
        let of = || scene.comparisons.iter().filter(move |c| c.metric == metric);
        let twin = of().find(|c| c.conclusion == Conclusion::Twin);
        let noise = twin.map(|c| c.interval.reach());
        let least = of().map(|c| c.least_effect).fold(0.0, f64::max);
        let drawn =
            |c: &&Comparison| c.conclusion != Conclusion::Twin && c.conclusion != Conclusion::ClientBound;
        let comparisons: Vec<&Comparison> = of().filter(drawn).collect();
        let noise = noise.filter(|noise| noise.is_finite()).unwrap_or(least);
        (!comparisons.is_empty()).then_some(Panel { scene, metric, comparisons, noise })
    };
    primary.unique_by(|metric| metric.name()).filter_map(panel).collect()
}

/// The change in percent that undoes one.
fn less(percent: f64) -> f64 {
    (1.0 / (1.0 + percent / 100.0) - 1.0) * 100.0
}

impl Panel<'_> {
    /// Whether there is something to see: what was judged to differ, or an interval without 0 beyond the noise.
    fn shows(&self, comparison: &Comparison) -> bool {
        let beyond = comparison.change.abs() > self.noise;
        let without_zero = !comparison.interval.contains(0.0);
        match comparison.conclusion {
            Conclusion::Differs => !comparison.is_small(),
            Conclusion::Equivalent => false,
            _ => beyond && without_zero,
        }
    }

    fn of(&self, column: &str) -> Option<&Comparison> {
        self.comparisons.iter().find(|c| self.scene.results[c.cell].cell.column() == column).copied()
    }

    /// How much worse, so that changes of all metrics can be sorted.
    fn worse(&self, comparison: &Comparison) -> f64 {
        let factor = (1.0 + comparison.change / 100.0).max(0.01).ln();
        match self.metric {
            metric if metric.is_per_fault() => comparison.change,
            Metric::Rate => -factor,
            _ => factor,
        }
    }

    fn farthest(&self) -> f64 {
        self.comparisons.iter().map(|c| self.worse(c).abs()).fold(0.0, f64::max)
    }

    fn quantity(&self, (name, rest): (String, String), rows: &[(String, Style)]) -> Quantity {
        let difference = self.metric.is_per_fault();
        let dot = |(name, _): &(String, Style)| {
            let c = self.of(name)?;
            let counts = self.shows(c);
            let text = format!("{:+.*}", self.metric.digits(), c.change);
            Some(match difference {
                true => Dot { text, full: counts, ..Dot::value(c.change, c.interval, 0) },
                false => Dot::change(c.change, c.interval, counts),
            })
        };
        let unit = if difference { "more per fault" } else { "change, %" };
        Quantity {
            name,
            unit: joined(&rest, &format!("{}, {unit}", self.metric.title())),
            scale: if difference { Scale::FromZero } else { Scale::Change(self.metric == Metric::Rate) },
            shade: Some((if difference { -self.noise } else { less(self.noise) }, self.noise)),
            ends: ["\u{2190} better", "worse \u{2192}"],
            values: rows.iter().map(dot).collect(),
            ..Quantity::default()
        }
    }
}

/// The columns to draw, the worst first, and the names of those within the noise everywhere if there are many.
fn rows(panels: &[Panel]) -> (Vec<(String, Style)>, Vec<String>) {
    let mut compared = columns(panels.iter().map(|panel| panel.scene));
    compared.retain(|(name, _)| panels.iter().any(|panel| panel.of(name).is_some()));
    let worst = |name: &str| {
        let each = panels.iter().filter_map(|panel| Some(panel.worse(panel.of(name)?)));
        each.fold(f64::NEG_INFINITY, f64::max)
    };
    compared.sort_by(|(a, _), (b, _)| worst(b).total_cmp(&worst(a)));
    let shows = |name: &str| panels.iter().any(|panel| panel.of(name).is_some_and(|c| panel.shows(c)));
    let many = compared.len() > MOST_ROWS && compared.iter().any(|(name, _)| shows(name));
    let (drawn, within): (Vec<_>, Vec<_>) = compared.into_iter().partition(|(name, _)| !many || shows(name));
    (drawn, within.into_iter().map(|(name, _)| name).collect())
}

fn figure(panels: &[Panel], rows: Vec<(String, Style)>, analysis: &Analysis) -> Dots {
    let headings = headings(panels.iter().map(|panel| panel.scene));
    let quantities: Vec<Quantity> =
        panels.iter().zip(headings).map(|(panel, heading)| panel.quantity(heading, &rows)).collect();
    let mut keys =
        vec![Key::new("noise: the same twice (A/A), or the least effect of interest", Sample::Band)];
    if quantities.iter().flat_map(|quantity| &quantity.values).flatten().any(|dot| dot.full) {
        keys.push(Key::new("filled: beyond it", Sample::Nothing));
    }
    let baseline = panels[0].scene.results[0].cell.column();
    let judged = if analysis.enough { "" } else { " Too few rounds to judge." };
    // Such as a C program with the same mechanism.
    let own = panels.iter().flat_map(|panel| &panel.scene.results).any(|one| one.cell.against.is_some());
    let (title, of) = match own {
        true => (
            "Change from what each is compared with".to_owned(),
            format!("{baseline}, or of the column that the method names"),
        ),
        false => (format!("Change from {baseline}"), baseline.to_owned()),
    };
    let note =
        format!("Change from the same rounds of {of}, with its 95 % interval; the worst first.{judged}");
    Dots {
        caption: Caption::new(title, note).saying(says(panels, &rows)),
        rows,
        quantities,
        keys,
        one_scale: true,
    }
}

/// `p99, load 85 %: reuseport +181 % (150 to 210).`
fn says(panels: &[Panel], rows: &[(String, Style)]) -> String {
    let panel = |panel: &Panel| {
        let unit = if panel.metric.is_per_fault() { " per fault" } else { " %" };
        let one = |(name, _): &(String, Style)| {
            let c = panel.of(name).filter(|c| panel.shows(c))?;
            let sign = if c.change < 0.0 { "" } else { "+" };
            Some(format!("{name} {sign}{}{unit} ({})", number(c.change, 1), range(c.interval, 1)))
        };
        let beyond = list(rows.iter().filter_map(one));
        let beyond = if beyond.is_empty() { "all within the noise" } else { &beyond };
        format!("{}, {}: {beyond}.", heading(panel.scene), panel.metric.title())
    };
    format!("Changes from the baseline. {}", panels.iter().map(panel).join(" "))
}
