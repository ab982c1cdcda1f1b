//! The primary metric along a number that rises: the offered rate, connections, workers, the length of the accept queue.

use itertools::Itertools;

use super::{MOST_PANELS, Told, shown};
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::plot::curves::{Curve, Curves, Part};
use crate::lab::plot::{Caption, Dimension, Style};
use crate::lab::report::text::{self, capital, list, number};
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
        let mut all: Vec<((String, Levels), Metric, Series)> = Vec::new();
        for scene in &analysis.scenes {
            let Some((value, rest)) = along.of(scene) else { continue };
            match all.iter_mut().find(|(other, metric, _)| *other == rest && *metric == scene.primary()) {
                Some((.., series)) => series.0.push((value, scene)),
                None => all.push((rest, scene.primary(), Series(vec![(value, scene)]))),
            }
        }
        for (.., series) in &mut all {
            series.0.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            series.0.dedup_by(|(a, _), (b, _)| a == b);
        }
        all.retain(|(.., series)| series.0.len() >= LEAST);
        for metric in all.iter().map(|(_, metric, _)| *metric).unique_by(|metric| metric.name()) {
            let of = all.iter().filter(|(_, other, _)| *other == metric);
            let series: Vec<&Series> = of.map(|(.., series)| series).take(MOST_PANELS).collect();
            told.figures.extend(figure(along, metric, &series, analysis));
        }
    }
    told
}

fn figure(along: Along, metric: Metric, series: &[&Series], analysis: &Analysis) -> Option<Curves> {
    let parts: Vec<Part> = series.iter().map(|one| one.part(along, metric, series.len() > 1)).collect();
    let xs = || series.iter().flat_map(|series| &series.0).map(|(value, _)| *value);
    let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(0.0, f64::max));
    let ticks = if along == Along::Rate { Vec::new() } else { named(xs()) };
    let [name, rises] = along.words();
    let title = format!("{} as {rises}", metric.title());
    let band = text::brackets(analysis);
    let unit = metric.unit();
    let figure = Curves {
        caption: Caption::new(title.clone(), format!("Median over runs. Band: {band}."))
            .saying(says(&title, metric, series)),
        x: Dimension {
            ticks,
            ..Dimension::new(name, along != Along::Rate && low > 0.0 && high / low > WIDE)
        },
        y: Dimension::new(
            &if unit.is_empty() { metric.title().to_owned() } else { format!("{}, {unit}", metric.title()) },
            metric != Metric::Rate,
        ),
        parts,
        ring: "fewer answered than offered",
        ..Curves::default()
    };
    figure.parts.iter().any(|part| !part.curves.is_empty()).then_some(figure)
}

/// Whole numbers are named as they are.
fn named(values: impl Iterator<Item = f64>) -> Vec<(f64, String)> {
    values.sorted_by(f64::total_cmp).dedup().map(|value| (value, number(value, 0))).collect()
}

impl Series<'_> {
    fn part(&self, along: Along, metric: Metric, named: bool) -> Part {
        let first = self.0[0].1;
        let curve = |(result, style): (&CellResult, Style)| {
            let of = |scene: &Scene| {
                let counts =
                    |other: &&CellResult| other.used > 0 && !(metric.is_of_the_loop() && other.client_bound);
                same(scene, result).filter(counts)?.estimate(metric)
            };
            let known = self.0.iter().filter_map(|(value, scene)| Some((*value, *scene, of(scene)?)));
            let points: Vec<_> = known
                .clone()
                .map(|(value, _, e)| (value, [e.median, e.interval.low, e.interval.high]))
                .collect();
            let behind = |scene: &Scene, value: f64| {
                let rate = same(scene, result).and_then(|other| other.estimate(Metric::Rate));
                along == Along::Rate && rate.is_some_and(|rate| rate.median < value * BEHIND)
            };
            let rings =
                known.filter(|(value, scene, _)| behind(scene, *value)).map(|(value, ..)| value).collect();
            (points.len() >= LEAST - 1)
                .then(|| Curve { rings, ..Curve::new(result.cell.name(), style, points) })
        };
        let heading = match along {
            _ if !named => String::new(),
            Along::Rate | Along::Connections => capital(&text::group_name(&first.group)),
            Along::Workers | Along::Backlog => without(first, along),
        };
        Part { heading, curves: shown(first).filter_map(curve).collect(), ..Part::default() }
    }
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
    let (load, group) = (text::load_name(&scene.load.name), text::group_name(&group));
    capital(&if group.is_empty() { load } else { format!("{load}, {group}") })
}

/// The values at both ends of each curve.
fn says(title: &str, metric: Metric, series: &[&Series]) -> String {
    let one = |series: &&Series| {
        let [(_, first), .., (_, last)] = series.0.as_slice() else { return String::new() };
        let ends = |(result, _): (&CellResult, Style)| {
            let of = |scene| Some(number(same(scene, result)?.estimate(metric)?.median, metric.digits()));
            (!result.cell.twin).then_some(())?;
            Some(format!("{} from {} to {}", result.cell.name(), of(first)?, of(last)?))
        };
        list(shown(first).filter_map(ends))
    };
    format!("{title}, in {}: {}.", metric.unit(), series.iter().map(one).join("; "))
}
