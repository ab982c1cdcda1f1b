//! The primary metric along a number that rises: the offered rate, connections, workers, the length of the accept queue.

use itertools::Itertools;

use super::{MOST_PANELS, Told, shown};
use crate::lab::judge::{Analysis, CellResult, Estimate, Scene};
use crate::lab::plot::{Caption, Curve, Curves, Dimension, Part, Style};
use crate::lab::report::grouped;
use crate::lab::report::text::{self, capital, list, number};
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{Levels, Metric};

/// Values needed to draw a curve.
const LEAST: usize = 3;
/// An axis over more than this factor is logarithmic.
const WIDE: f64 = 8.0;
/// A smaller share of the offered rate means falling behind.
const BEHIND: f64 = 0.98;

#[derive(Clone, Copy, PartialEq)]
enum Along {
    Rate,
    Connections,
    Workers,
    Backlog,
}

impl Along {
    const ALL: [Self; 4] = [Self::Rate, Self::Connections, Self::Workers, Self::Backlog];

    /// The name of the axis, and what is changed.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Rate => ["offered requests/s", "the load rises"],
            Self::Connections => ["connections at once", "connections rise"],
            Self::Workers => ["workers", "workers rise"],
            Self::Backlog => ["length of the accept queue", "the accept queue rises"],
        }
    }

    /// The value of a scene, and what else distinguishes it: scenes that differ in nothing else share a curve.
    fn of(self, scene: &Scene) -> Option<(f64, (String, Levels))> {
        let (load, levels) = (scene.load.name.clone(), scene.group.levels.clone());
        Some(match self {
            Self::Rate => (scene.offered_per_s?, (String::new(), levels)),
            Self::Connections => (scene.load.closed? as f64, (String::new(), levels)),
            Self::Workers => (levels.workers as f64, (load, Levels { workers: 0, ..levels })),
            Self::Backlog => (f64::from(levels.backlog?), (load, Levels { backlog: None, ..levels })),
        })
    }
}

/// Scenes along a number, in its order.
struct Series<'a>(Vec<(f64, &'a Scene)>);

pub fn levels(analysis: &Analysis) -> Told<Curves> {
    let mut told = Told::default();
    for along in Along::ALL {
        let known = analysis.scenes.iter().filter_map(|scene| {
            let (value, rest) = along.of(scene)?;
            Some(((rest, scene.primary()), (value, scene)))
        });
        let series = grouped(known).into_iter().map(|((_, metric), mut scenes)| {
            scenes.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            scenes.dedup_by(|(a, _), (b, _)| a == b);
            (metric, Series(scenes))
        });
        for (metric, mut series) in grouped(series.filter(|(_, series)| series.0.len() >= LEAST)) {
            let mut parts: Vec<Part> =
                series.iter().flat_map(|one| one.parts(along, metric, series.len() > 1)).collect();
            let left_out = parts.len().saturating_sub(MOST_PANELS);
            parts.truncate(MOST_PANELS);
            series.truncate(MOST_PANELS);
            let figure = figure(along, metric, &series, parts, analysis);
            if figure.is_some() && left_out > 0 {
                told.says.push(format!(
                    "The figure leaves {left_out} panels out; their values are in the tables."
                ));
            }
            told.figures.extend(figure);
        }
    }
    told
}

fn figure(
    along: Along,
    metric: Metric,
    series: &[Series],
    parts: Vec<Part>,
    analysis: &Analysis,
) -> Option<Curves> {
    let xs = || series.iter().flat_map(|series| &series.0).map(|(value, _)| *value);
    let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(0.0, f64::max));
    let ticks = if along == Along::Rate { Vec::new() } else { named(xs()) };
    let log = along != Along::Rate && low > 0.0 && high / low > WIDE;
    let [name, rises] = along.words();
    let title = format!("{} as {rises}", metric.title());
    let note = format!("Median over runs. Band: {}.", text::brackets(analysis));
    let y = [metric.title(), metric.unit()].into_iter().filter(|part| !part.is_empty()).join(", ");
    let figure = Curves {
        caption: Caption::new(title.clone(), note).saying(says(&title, metric, series)),
        x: Dimension { ticks, ..Dimension::new(name, log) },
        y: Dimension::new(&y, metric != Metric::Rate),
        parts,
        ring: "fewer answered than offered",
        ..Curves::default()
    };
    figure.parts.iter().any(|part| !part.curves.is_empty()).then_some(figure)
}

fn named(values: impl Iterator<Item = f64>) -> Vec<(f64, String)> {
    values.sorted_by(f64::total_cmp).dedup().map(|value| (value, number(value, 0))).collect()
}

impl Series<'_> {
    /// A panel, or one for each column with which others are compared, in the order of the columns.
    fn parts(&self, along: Along, metric: Metric, named: bool) -> Vec<Part> {
        let cells: Vec<&Cell> = self.0[0].1.results.iter().map(|result| &result.cell).collect();
        if cells.iter().all(|cell| cell.against.is_none()) {
            return vec![self.part(along, metric, named, None)];
        }
        let has_others = |base: &&str| {
            cells.iter().any(|cell| cell.column() != *base && is_of(cell, base, cells[0].column()))
        };
        let bases = cells.iter().map(|cell| cell.column()).unique().filter(has_others);
        bases.map(|base| self.part(along, metric, named, Some(base))).collect()
    }

    /// A panel, of all columns or of a base and what is compared with it.
    fn part(&self, along: Along, metric: Metric, named: bool, base: Option<&str>) -> Part {
        let first = self.0[0].1;
        let baseline = || first.results[0].cell.column();
        let belongs = |cell: &Cell| base.is_none_or(|base| is_of(cell, base, baseline()));
        let styled = |cell: &Cell, style: Style| {
            let is_base = base == Some(cell.column());
            if is_base { Style { hollow: cell.twin, ..Style::BASELINE } } else { style }
        };
        let curve = |(result, style): (&CellResult, Style)| {
            let of = |scene: &Scene| {
                let other = same(scene, result).filter(|other| other.used > 0)?;
                other.estimate(metric).filter(|_| !(metric.is_of_the_loop() && other.client_bound))
            };
            let known: Vec<(f64, &Scene, Estimate)> =
                self.0.iter().filter_map(|(value, scene)| Some((*value, *scene, of(scene)?))).collect();
            let point = |(value, _, e): &(f64, &Scene, Estimate)| {
                (*value, [e.median, e.interval.low, e.interval.high])
            };
            let is_behind = |(value, scene, _): &&(f64, &Scene, Estimate)| {
                let rate = same(scene, result).and_then(|other| other.estimate(Metric::Rate));
                along == Along::Rate && rate.is_some_and(|rate| rate.median < value * BEHIND)
            };
            let rings = known.iter().filter(is_behind).map(|(value, ..)| *value).collect();
            let curve = Curve::new(result.cell.name(), style, known.iter().map(point).collect());
            (known.len() >= LEAST - 1).then_some(Curve { rings, ..curve })
        };
        let heading = match along {
            _ if !named => String::new(),
            Along::Rate | Along::Connections => capital(&text::group_name(&first.group)),
            Along::Workers | Along::Backlog => without(first, along),
        };
        let heading = match base {
            Some(base) if heading.is_empty() => format!("Compared with {base}"),
            Some(base) => format!("{heading}, compared with {base}"),
            None => heading,
        };
        let chosen = shown(first).filter(|(result, _)| belongs(&result.cell));
        let chosen = chosen.map(|(result, style)| (result, styled(&result.cell, style)));
        Part { heading, curves: chosen.filter_map(curve).collect(), ..Part::default() }
    }
}

/// Whether a column is `base`, its second run, or compared with it. Those without a base of their own have the baseline.
fn is_of(cell: &Cell, base: &str, baseline: &str) -> bool {
    cell.column() == base || (!cell.twin && cell.against.as_deref().unwrap_or(baseline) == base)
}

/// The result of the same column.
fn same<'a>(scene: &'a Scene, result: &CellResult) -> Option<&'a CellResult> {
    scene.results.iter().find(|other| other.cell.name() == result.cell.name())
}

/// The name of a scene without the level along which it is drawn.
fn without(scene: &Scene, along: Along) -> String {
    let mut group = scene.group.clone();
    let own = match along {
        Along::Workers => format!("w={}", group.levels.workers),
        _ => group.levels.backlog.map(|n| format!("backlog={n}")).unwrap_or_default(),
    };
    group.title = group.title.split(' ').filter(|part| *part != own).collect::<Vec<_>>().join(" ");
    capital(&text::place_of(&scene.load.name, &group))
}

/// The values at both ends of each curve.
fn says(title: &str, metric: Metric, series: &[Series]) -> String {
    let one = |series: &Series| {
        let [(_, first), .., (_, last)] = series.0.as_slice() else { return String::new() };
        let ends = |(result, _): (&CellResult, Style)| {
            let of = |scene| Some(number(same(scene, result)?.estimate(metric)?.median, metric.digits()));
            let ends = format!("{} from {} to {}", result.cell.name(), of(first)?, of(last)?);
            (!result.cell.twin).then_some(ends)
        };
        list(shown(first).filter_map(ends))
    };
    format!("{title}, in {}: {}.", metric.unit(), series.iter().map(one).join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture::rich::Rich;
    use crate::lab::judge::judge;

    #[test]
    fn each_base_of_a_comparison_has_a_panel() {
        let mut data = Rich { peers: Vec::new(), ..Rich::default() }.data();
        data.spec.against = [("inherited-exclusive".to_owned(), "reuseport".to_owned())].into();
        let told = levels(&judge(&data));
        let panel = |part: &Part| {
            let drawn = part.curves.iter().filter(|curve| !curve.style.hollow);
            let curves = drawn.map(|curve| (curve.label.clone(), curve.style.is_baseline()));
            (part.heading.clone(), curves.collect::<Vec<_>>())
        };
        let panels: Vec<_> = told.figures[0].parts.iter().map(panel).collect();
        let column = |name: &str, is_base| (name.to_owned(), is_base);
        let expected = [
            ("Compared with inherited", [column("inherited", true), column("reuseport", false)]),
            ("Compared with reuseport", [column("reuseport", true), column("inherited-exclusive", false)]),
        ];
        assert_eq!(panels, expected.map(|(heading, curves)| (heading.to_owned(), curves.to_vec())));
        // The second run of a base tells how far apart two runs of the same are; these data have one of the baseline.
        let second = |part: &Part| part.curves.iter().filter(|curve| curve.style.hollow).count();
        assert_eq!(told.figures[0].parts.iter().map(second).collect::<Vec<_>>(), [1, 0]);
    }
}
