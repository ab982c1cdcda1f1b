//! The figures of a report that the overview can show, for its summary: one per strategy, metric, load and fault.

use serde::{Deserialize, Serialize};

use crate::lab::judge::{Analysis, CellResult, Comparison, Conclusion, Scene};
use crate::lab::spec::plan::{self, Cell as Planned};
use crate::lab::spec::{FaultKind, Load, Metric};
use crate::listener::Choice;
use crate::measure::stats::{self, Interval};

/// Requests late per fault, more than without it.
pub const DELAYED: &str = "delayed_per_fault";
/// The share of faults with a lost connection.
pub const LOST: &str = "lost_per_fault";
/// Of runs without a fault.
const METRICS: [Metric; 4] = [Metric::ResponseP99Ms, Metric::Rate, Metric::ServerCpuUs, Metric::MaxOverMean];

/// A figure of a strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// `NAME[:ARG]`, without a default argument.
    pub strategy: String,
    /// [`Metric::name`], [`DELAYED`] or [`LOST`].
    pub metric: String,
    /// `sleep`, `spin`, `fixed` or `cgi`.
    pub work: String,
    pub load: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    pub estimate: f64,
    /// 95 %; of medians the range over the runs, where there are fewer than 10 rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    pub told: Told,
    /// Runs that count, or faults.
    pub n: u64,
    /// Faults with a lost connection.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hits: u64,
    /// Lost connections, also those that no fault explains.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

/// A strategy relative to another column, from pairs of the same round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub against: String,
    pub value: f64,
    pub interval: Interval,
}

/// What the report concludes about a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Others are compared with it.
    Baseline,
    Differs,
    /// It differs by less than the least effect of interest.
    Small,
    Equivalent,
    Open,
    /// Not the metric that is judged.
    Described,
    TooFew,
    ClientBound,
    /// Counted per fault, with an interval.
    #[default]
    Counted,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Cell {
    /// JSON has no other numbers.
    fn is_finite(&self) -> bool {
        let ratio = self.ratio.as_ref();
        let intervals = self.interval.into_iter().chain(ratio.map(|ratio| ratio.interval));
        let ends = intervals.flat_map(|interval| [interval.low, interval.high]);
        ends.chain(ratio.map(|ratio| ratio.value)).chain([self.estimate]).all(f64::is_finite)
    }

    /// The faults of two kinds of work together.
    pub fn plus(mut self, other: &Self) -> Self {
        self.n += other.n;
        self.hits += other.hits;
        self.lost += other.lost;
        (self.estimate, self.interval) = share(self.hits, self.lost, self.n);
        if self.work != other.work {
            self.work = format!("{} and {}", self.work, other.work);
        }
        self
    }
}

/// Of all strategies without options, and without their second runs. Faults at random have no figure of their own.
pub fn of(analysis: &Analysis) -> Vec<Cell> {
    let scenes = analysis.scenes.iter().filter(|scene| !scene.random_faults);
    scenes.flat_map(of_scene).filter(Cell::is_finite).collect()
}

fn of_scene(scene: &Scene) -> Vec<Cell> {
    let of = |(index, result): (usize, &CellResult)| -> Option<Vec<Cell>> {
        let strategy = strategy(&result.cell)?;
        let metrics = || METRICS.into_iter().filter(|metric| applies(*metric, &scene.load));
        Some(match scene.group.levels.fault {
            Some(fault) => after_fault(scene, result, &strategy, fault.kind),
            None => metrics().filter_map(|metric| calm(scene, index, &strategy, metric)).collect(),
        })
    };
    scene.results.iter().enumerate().filter_map(of).flatten().collect()
}

/// The shortest name of a strategy; `None` for another server, options, or a second run.
fn strategy(cell: &Planned) -> Option<String> {
    let plain = !cell.twin && cell.peer.is_none() && !cell.has_options();
    let choice = cell.strategy().parse::<Choice>().ok().filter(|_| plain)?;
    Some(choice.to_string())
}

/// The rate of an open loop is its schedule, the response time of a closed one follows from its rate.
fn applies(metric: Metric, load: &Load) -> bool {
    match metric {
        Metric::Rate => load.closed.is_some(),
        Metric::ResponseP99Ms => load.closed.is_none(),
        _ => true,
    }
}

fn empty(scene: &Scene, strategy: &str, metric: &str) -> Cell {
    let respond = &scene.group.levels.respond;
    Cell {
        strategy: strategy.to_owned(),
        metric: metric.to_owned(),
        work: respond.split(':').next().unwrap_or_default().to_owned(),
        load: scene.load.name.clone(),
        fault: scene.group.levels.fault.map(|fault| fault.kind),
        ..Cell::default()
    }
}

fn calm(scene: &Scene, index: usize, strategy: &str, metric: Metric) -> Option<Cell> {
    let result = &scene.results[index];
    let estimate = result.estimate(metric)?;
    let comparison = scene.comparison(index, metric);
    Some(Cell {
        estimate: estimate.median,
        interval: Some(estimate.interval),
        ratio: comparison.map(|comparison| ratio(scene, index, comparison)),
        told: told(result, index, metric, comparison),
        n: result.used as u64,
        ..empty(scene, strategy, metric.name())
    })
}

fn ratio(scene: &Scene, index: usize, comparison: &Comparison) -> Ratio {
    let cells = &scene.group.cells;
    let base = &cells[plan::base(cells, &cells[index])];
    let factor = |percent: f64| 1.0 + percent / 100.0;
    Ratio {
        against: strategy(base).unwrap_or_else(|| base.column().to_owned()),
        value: factor(comparison.change),
        interval: comparison.interval.map(factor),
    }
}

fn told(result: &CellResult, index: usize, metric: Metric, comparison: Option<&Comparison>) -> Told {
    match comparison.map(|comparison| (comparison.conclusion, comparison.is_small())) {
        _ if metric.is_of_the_loop() && result.client_bound => Told::ClientBound,
        None if index == 0 => Told::Baseline,
        None | Some((Conclusion::Described | Conclusion::Twin, _)) => Told::Described,
        Some((Conclusion::TooFew, _)) => Told::TooFew,
        Some((Conclusion::ClientBound, _)) => Told::ClientBound,
        Some((Conclusion::Differs, true)) => Told::Small,
        Some((Conclusion::Differs, false)) => Told::Differs,
        Some((Conclusion::Equivalent, _)) => Told::Equivalent,
        Some((Conclusion::Open, _)) => Told::Open,
    }
}

fn after_fault(scene: &Scene, result: &CellResult, strategy: &str, kind: FaultKind) -> Vec<Cell> {
    let losses = &result.losses;
    let delayed = losses.delayed().filter(|_| kind.lasts()).map(|(mean, interval)| Cell {
        estimate: mean,
        interval,
        n: losses.known(|effect| effect.delayed_more).len() as u64,
        ..empty(scene, strategy, DELAYED)
    });
    // An earlier method could not tell which fault lost a connection.
    let hits = if losses.superseded { 0 } else { losses.hit() };
    let (estimate, interval) = share(hits, losses.failed(), losses.faults());
    let lost = (losses.faults() > 0).then(|| Cell {
        estimate,
        interval,
        n: losses.faults(),
        hits,
        lost: losses.failed(),
        ..empty(scene, strategy, LOST)
    });
    delayed.into_iter().chain(lost).collect()
}

/// The share of faults with a lost connection, and its interval. Where no fault explains a loss, at most every lost connection had
/// a fault of its own.
fn share(hits: u64, lost: u64, n: u64) -> (f64, Option<Interval>) {
    let n_or_one = n.max(1) as f64;
    match hits {
        0 if lost > 0 => ((lost as f64 / n_or_one).min(1.0), None),
        hits => (hits as f64 / n_or_one, stats::proportion(hits, n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture::{self, rich::Rich};
    use crate::lab::judge::judge;

    fn find<'a>(cells: &'a [Cell], strategy: &str, metric: &str) -> Vec<&'a Cell> {
        cells.iter().filter(|cell| cell.strategy == strategy && cell.metric == metric).collect()
    }

    #[test]
    fn a_judged_experiment_says_what_differs_from_the_baseline() {
        let cells = of(&judge(&fixture::quick(12)));
        let rate = find(&cells, "reuseport", "rate");
        assert_eq!(rate.len(), 1, "closed loops alone have a rate");
        let ratio = rate[0].ratio.clone().unwrap();
        assert_eq!((rate[0].told, ratio.against.as_str()), (Told::Differs, "inherited"));
        assert!(ratio.interval.high < 0.95 && rate[0].work == "cgi" && rate[0].n == 12, "{rate:?}");
        assert_eq!(find(&cells, "inherited", "rate")[0].told, Told::Baseline);
        assert_eq!(find(&cells, "reuseport", "response_p99_ms")[0].load, "half load");
        assert_eq!(find(&cells, "reuseport", "max_over_mean")[0].told, Told::Described);
        let few = of(&judge(&fixture::quick(4)));
        assert_eq!(find(&few, "reuseport", "rate")[0].told, Told::TooFew);
    }

    #[test]
    fn other_servers_second_runs_and_options_have_no_cells() {
        let cells = of(&judge(&Rich { rounds: 1, ..Rich::default() }.data()));
        let mut names: Vec<&str> = cells.iter().map(|cell| cell.strategy.as_str()).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, ["inherited", "inherited-exclusive", "reuseport"]);
    }

    #[test]
    fn faults_are_counted_with_a_bound() {
        let faults = vec!["none", "kill@1s", "stop@1s+500ms"];
        let data = Rich { rounds: 3, faults, open: vec![400], ..Rich::default() }.data();
        let cells = of(&judge(&data));
        let delayed = find(&cells, "reuseport", DELAYED);
        assert!(delayed.iter().all(|cell| cell.fault == Some(FaultKind::Stop)), "{delayed:?}");
        assert!(delayed[0].estimate > 40.0 && delayed[0].n == 3, "{delayed:?}");
        let kills: Vec<&Cell> = find(&cells, "reuseport", LOST)
            .into_iter()
            .filter(|c| c.fault == Some(FaultKind::Kill))
            .collect();
        assert_eq!((kills[0].hits, kills[0].n, kills[0].lost), (3, 3, 3), "{kills:?}");
        let both = kills[0].clone().plus(kills[1]);
        assert_eq!((both.hits, both.n, both.estimate), (6, 6, 1.0));
        assert!(both.interval.unwrap().low > kills[0].interval.unwrap().low);
    }

    #[test]
    fn what_an_earlier_method_lost_is_shown_without_a_bound() {
        let faults = vec!["none", "kill@1s"];
        let mut data = Rich { rounds: 2, faults, open: vec![400], ..Rich::default() }.data();
        for record in data.runs.iter_mut().filter_map(|run| run.record.as_mut()) {
            record.plan.slow_s = None;
            record.incidents.clear();
        }
        let untold = find(&of(&judge(&data)), "reuseport", LOST)[0].clone();
        assert_eq!((untold.hits, untold.lost, untold.interval), (0, 4, None));
        data.runs.iter_mut().filter_map(|run| run.record.as_mut()).for_each(|record| record.errors.clear());
        let none = find(&of(&judge(&data)), "reuseport", LOST)[0].clone();
        assert!(none.lost == 0 && none.interval.is_some(), "{none:?}");
        assert_eq!(none.plus(&untold).interval, None, "nor is the sum of both bounded");
    }
}
