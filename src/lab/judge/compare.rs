//! Cells against what they are compared with, round by round: the size of a difference, and whether it counts.
//!
//! One metric of each load is judged, the primary one; the others are described. All judged comparisons of an experiment
//! are one family for Holm's correction. What others are compared with runs twice per round (A/A), and the second run is
//! the third member of a block of the exact test ([`stats::shift_p`]).

use super::scale::Scale;
use super::values::value as value_of;
use super::{CellResult, ENOUGH_ROUNDS, Paired};
use crate::lab::spec::plan::{self, Cell};
use crate::lab::spec::{Load, Metric, Spec};
use crate::measure::stats::{self, Block, Interval};

/// Probability of a false alarm in all judged comparisons together (Holm).
pub const ALPHA: f64 = 0.05;

/// A cell against its base in one metric. Changes are in percent of the base or, of what is counted for each fault, differences.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Position in the scene.
    pub cell: usize,
    pub metric: Metric,
    /// Whether it is one of the metrics that are judged under the load.
    pub primary: bool,
    /// Rounds in which both count; without rounds, runs of the side that has fewer.
    pub pairs: usize,
    /// Hodges-Lehmann estimate over the rounds.
    pub change: f64,
    /// The changes that the exact test does not refuse at 5 %; the range over the rounds where there are too few for that.
    pub interval: Interval,
    /// Of the exact test, after Holm's correction where the comparison is judged.
    pub p: f64,
    pub least_effect: f64,
    /// The least change that this comparison would find in four of five experiments; infinite if it could find none.
    /// Only of judged comparisons.
    pub visible: f64,
    pub conclusion: Conclusion,
    /// The smallest p that the test could have given, before correction.
    least_p: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// A second run against the first: what the machine alone does.
    Twin,
    /// Not the primary metric of its load.
    Described,
    TooFew,
    ClientBound,
    /// p is below 0.05 after correction.
    Differs,
    /// It is not `Differs`, and the interval is within the least effect of interest to either side: both one-sided tests
    /// refuse a larger difference.
    Equivalent,
    /// Neither.
    Open,
}

impl Conclusion {
    pub fn name(self) -> &'static str {
        match self {
            Self::Twin => "the same twice (A/A)",
            Self::Described => "described, not judged",
            Self::TooFew => "too few rounds to judge",
            Self::ClientBound => "client-bound: not judged",
            Self::Differs => "differs",
            Self::Equivalent => "equivalent",
            Self::Open => "not told apart",
        }
    }
}

impl Comparison {
    /// From rounds, without a conclusion; `None` without rounds.
    pub fn of(metric: Metric, blocks: &[Block], least_effect: f64) -> Option<Self> {
        // Where many are late, their number varies; where none is, it does not.
        let shift = match Scale::of(metric) {
            Scale::Ratio => stats::shift(blocks)?,
            Scale::Difference => stats::shift(&stats::paired(blocks))?,
        };
        let (p, least_p) = (stats::shift_p(blocks, 0.0), stats::least_p(blocks));
        Some(Self::new(metric, shift, [p, least_p], blocks.len(), least_effect))
    }

    /// From values of two sides that belong to no rounds, on the scale of the metric. The test is the exact rank sum test.
    pub fn unpaired(metric: Metric, [first, second]: [&[f64]; 2], least_effect: f64) -> Option<Self> {
        let (shift, p) = (stats::shift_between(first, second)?, stats::rank_sum_p(first, second));
        Some(Self::new(metric, shift, [p, 1.0], first.len().min(second.len()), least_effect))
    }

    fn new(
        metric: Metric,
        (shift, interval): (f64, Interval),
        [p, least_p]: [f64; 2],
        pairs: usize,
        least_effect: f64,
    ) -> Self {
        let scale = Scale::of(metric);
        Self {
            cell: 0,
            metric,
            primary: true,
            pairs,
            change: scale.change(shift),
            interval: interval.map(|shift| scale.change(shift)),
            p,
            least_effect,
            visible: f64::INFINITY,
            least_p,
            conclusion: Conclusion::TooFew,
        }
    }

    pub fn says(&self) -> String {
        match self.conclusion {
            Conclusion::Differs if self.is_small() => format!("differs, within {}", self.limit()),
            Conclusion::Equivalent => format!("equivalent within {}", self.limit()),
            conclusion => conclusion.name().into(),
        }
    }

    pub fn scale(&self) -> Scale {
        Scale::of(self.metric)
    }

    /// The least effect of interest, such as `5 %` or `1 per fault`.
    pub fn limit(&self) -> String {
        format!("{} {}", self.least_effect, self.scale().unit())
    }

    pub fn would_take(&self) -> String {
        let unit = self.scale().unit();
        match self.visible {
            visible if visible >= 1000.0 => "no change could be seen".into(),
            visible if visible >= 10.0 => format!("would take {visible:.0} {unit} to see"),
            visible => format!("would take {visible:.1} {unit} to see"),
        }
    }

    pub fn is_small(&self) -> bool {
        self.interval.low >= -self.least_effect && self.interval.high <= self.least_effect
    }

    pub fn is_judged(&self) -> bool {
        matches!(self.conclusion, Conclusion::Differs | Conclusion::Equivalent | Conclusion::Open)
    }
}

/// The metrics of the tables of a scene: the usual ones and those that are judged. Where that is what a fault does, they do not have
/// the p99 of the run, which depends on how long the run is.
pub fn shown(judged: &[Metric]) -> impl Iterator<Item = Metric> {
    let per_fault = judged.iter().any(|metric| metric.is_per_fault());
    let fits = move |metric: &Metric| !(per_fault && *metric == Metric::ResponseP99Ms);
    let others = judged.iter().filter(|metric| !Metric::COMPARED.contains(metric));
    Metric::COMPARED.iter().copied().filter(fits).chain(others.copied())
}

/// The metrics that are compared under a load, and whether each is judged. The rate of an open loop is its schedule.
pub fn metrics(load: &Load, judged: &[Metric]) -> impl Iterator<Item = (Metric, bool)> {
    let is_open = load.closed.is_none();
    let all = shown(judged).filter(move |metric| !(is_open && *metric == Metric::Rate));
    all.map(move |metric| (metric, judged.contains(&metric)))
}

/// The least effect of interest as a change.
pub fn least_effect(metric: Metric, spec: &Spec) -> f64 {
    let least = spec.least_effect(metric);
    if metric.is_per_fault() { least } else { (least * 1000.0).round() / 10.0 }
}

/// Every cell but the first against its base, metric by metric. [`correct`] concludes.
pub fn compare(
    results: &[CellResult],
    used: &[Vec<Paired>],
    metrics: impl Iterator<Item = (Metric, bool)>,
    spec: &Spec,
) -> Vec<Comparison> {
    let cells: Vec<Cell> = results.iter().map(|result| result.cell.clone()).collect();
    let mut comparisons = Vec::new();
    for (metric, judged) in metrics {
        for (index, cell) in cells.iter().enumerate().skip(1) {
            let base = plan::base(&cells, cell);
            let is_twin = |other: &Cell| other.twin && plan::base(&cells, other) == base;
            let second = cells.iter().position(is_twin).filter(|_| !cell.twin);
            let blocks =
                blocks(metric, &used[index], &used[base], second.map(|second| used[second].as_slice()));
            let Some(comparison) = Comparison::of(metric, &blocks, least_effect(metric, spec)) else {
                continue;
            };
            let bound = metric.is_of_the_loop() && [index, base].iter().any(|&of| results[of].client_bound);
            let conclusion = match judged {
                _ if cell.twin => Conclusion::Twin,
                _ if bound => Conclusion::ClientBound,
                true => Conclusion::TooFew,
                false => Conclusion::Described,
            };
            comparisons.push(Comparison { cell: index, primary: judged, conclusion, ..comparison });
        }
    }
    comparisons
}

/// Rounds in which the cell and a run of its base count and can be compared.
fn blocks(metric: Metric, cell: &[Paired], base: &[Paired], second: Option<&[Paired]>) -> Vec<Block> {
    let value = |runs: &[Paired], round: u32| {
        let run = runs.iter().find(|(_, row)| row.round == round);
        let value = run.and_then(|(_, row)| value_of(metric, row));
        value.and_then(|value| Scale::of(metric).place(value))
    };
    let block = |(_, row): &Paired| {
        let treated = value(cell, row.round)?;
        let second = second.and_then(|second| value(second, row.round));
        match (value(base, row.round), second) {
            (Some(control), twin) => Some(Block { treated, control, twin }),
            (None, twin) => Some(Block { treated, control: twin?, twin: None }),
        }
    };
    cell.iter().filter_map(block).collect()
}

/// Corrects the p values of the family, which is all comparisons that can be judged; and concludes.
pub fn correct<'a>(all: impl Iterator<Item = &'a mut Comparison>) {
    let can = |c: &&mut Comparison| c.conclusion == Conclusion::TooFew && c.pairs >= ENOUGH_ROUNDS;
    conclude(&mut all.filter(can).collect::<Vec<_>>());
}

fn conclude(family: &mut [&mut Comparison]) {
    let level = ALPHA / family.len() as f64;
    let adjusted = stats::holm(&family.iter().map(|comparison| comparison.p).collect::<Vec<_>>());
    for (comparison, p) in family.iter_mut().zip(adjusted) {
        let (Interval { low, high }, scale) = (comparison.interval, comparison.scale());
        comparison.p = p;
        if comparison.least_p <= level {
            let interval = Interval { low: scale.shift(low), high: scale.shift(high) };
            comparison.visible = scale.change(stats::visible(interval, level));
        }
        comparison.conclusion = if p < ALPHA {
            Conclusion::Differs
        } else if comparison.is_small() {
            Conclusion::Equivalent
        } else {
            Conclusion::Open
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison over twelve rounds, with noise of one percent and the same change in each.
    fn comparison(change: f64, twin: bool) -> Comparison {
        let noise = |i: i32, k: i32| f64::from((i * 7 + k * 5) % 11 - 5) / 500.0;
        let block = |i| Block {
            treated: change.ln_1p() + noise(i, 1),
            control: noise(i, 2),
            twin: twin.then(|| noise(i, 4)),
        };
        let blocks: Vec<Block> = (0..12).map(block).collect();
        Comparison::of(Metric::Rate, &blocks, 5.0).unwrap()
    }

    /// The conclusion on a change among `others` comparisons without one.
    fn concluded(change: f64, twin: bool, others: usize) -> Comparison {
        let mut family: Vec<Comparison> = (0..others).map(|_| comparison(0.0, true)).collect();
        family.push(comparison(change, twin));
        conclude(&mut family.iter_mut().collect::<Vec<_>>());
        family.pop().unwrap()
    }

    #[test]
    fn a_comparison_differs_is_equivalent_or_is_not_told_apart() {
        let large = concluded(0.2, true, 10);
        assert_eq!((large.conclusion, large.says().as_str()), (Conclusion::Differs, "differs"));
        assert!((large.change - 20.0).abs() < 3.0 && large.interval.contains(20.0), "{large:?}");
        let small = concluded(0.03, true, 2);
        assert_eq!(small.says(), "differs, within 5 %", "{small:?}");
        let none = concluded(0.0, true, 10);
        assert_eq!(none.says(), "equivalent within 5 %", "{none:?}");
        let open = Comparison { least_effect: 0.1, ..none.clone() };
        let mut open = [open];
        conclude(&mut open.iter_mut().collect::<Vec<_>>());
        assert_eq!(open[0].says(), "not told apart");
        assert!(open[0].would_take().starts_with("would take "), "{open:?}");
        assert!((0.5..5.0).contains(&open[0].visible), "{open:?}");
    }

    #[test]
    fn a_comparison_without_a_second_run_of_its_base_says_when_it_could_not_count() {
        assert_eq!(concluded(0.5, false, 10).conclusion, Conclusion::Differs);
        // 2/2^12 times 160 is above 5 %: no change could count. With the twin it is 2/3^12.
        let lost = concluded(0.5, false, 160);
        assert_eq!((lost.conclusion, lost.visible), (Conclusion::Open, f64::INFINITY));
        assert_eq!(lost.would_take(), "no change could be seen");
        assert_eq!(concluded(0.5, true, 160).conclusion, Conclusion::Differs);
    }

    #[test]
    fn the_rate_of_an_open_loop_is_not_compared_and_a_named_metric_is() {
        let closed = Load { closed: Some(4), ..Load::default() };
        let of = |load: &Load, judged| metrics(load, judged).collect::<Vec<_>>();
        assert_eq!(of(&closed, &[Metric::Rate])[0], (Metric::Rate, true));
        let open = of(&Load::default(), &[Metric::ResponseP95Ms]);
        assert!(open.iter().all(|(metric, _)| *metric != Metric::Rate));
        let judged: Vec<Metric> = open.iter().filter(|(_, judged)| *judged).map(|(m, _)| *m).collect();
        assert_eq!(judged, [Metric::ResponseP95Ms]);
        assert!(open.contains(&(Metric::ResponseP99Ms, false)));
        let faults = of(&Load::default(), &[Metric::DelayedPerFault]);
        assert!(faults.iter().all(|(metric, _)| *metric != Metric::ResponseP99Ms), "{faults:?}");
        assert!(faults.contains(&(Metric::DelayedPerFault, true)));
    }
}
