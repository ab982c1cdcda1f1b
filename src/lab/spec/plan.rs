//! From an experiment to the list of its runs. Pure: the order is a function of the seed.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultKind, Pin, Spec, Sysctl, fault_name, peers};

/// One combination of the factors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Name in tables, plots and data.
    pub id: String,
    /// Strategy, `NAME[:ARG]`, and options of the server after it; empty for a peer.
    pub listener: String,
    /// Another server in the place of ours.
    #[serde(default)]
    pub peer: Option<String>,
    /// Worker processes.
    pub workers: usize,
    /// What a worker does with a request.
    pub respond: String,
    /// Length of the accept queue; none is the server's default.
    #[serde(default)]
    pub backlog: Option<u32>,
    /// Addresses that connections come from; none is the system's choice.
    #[serde(default)]
    pub sources: Option<String>,
    /// Which processors the programs may use.
    #[serde(default)]
    pub pin: Pin,
    /// A setting of the kernel's network, in a network of its own; none is the system's.
    #[serde(default)]
    pub sysctl: Option<Sysctl>,
    /// What happens to the server while it is measured.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// Whether this is the baseline a second time.
    pub twin: bool,
}

impl Cell {
    /// The strategy without options.
    pub fn strategy(&self) -> &str {
        self.listener.split_whitespace().next().unwrap_or_default()
    }

    /// Whether options of the server stand after the strategy.
    pub fn has_options(&self) -> bool {
        self.strategy().len() < self.listener.len()
    }

    /// The column that it stands in: its listener or its peer.
    pub fn column(&self) -> &str {
        self.peer.as_deref().unwrap_or(&self.listener)
    }
}

/// What the cells are compared within: all factors but the column are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// What tells it from the other groups, such as `w=12 kill@1s`; empty when it is the only one.
    pub title: String,
    /// Worker processes.
    pub workers: usize,
    /// What a worker does with a request.
    pub respond: String,
    /// Length of the accept queue.
    pub backlog: Option<u32>,
    /// Addresses that connections come from.
    pub sources: Option<String>,
    /// Which processors the programs may use.
    pub pin: Pin,
    /// A setting of the kernel's network.
    pub sysctl: Option<Sysctl>,
    /// What happens to the server.
    pub fault: Option<Fault>,
    /// Baseline first, then its twin, then the others in the order of the file.
    pub cells: Vec<Cell>,
}

impl Group {
    /// The level of a factor as it is written; `None` for an unknown factor, or one without levels here.
    pub fn level(&self, factor: &str) -> Option<String> {
        Some(match factor {
            "workers" => self.workers.to_string(),
            "respond" => self.respond.clone(),
            "backlog" => self.backlog?.to_string(),
            "sources" => self.sources.clone()?,
            "pin" => self.pin.to_string(),
            "sysctl" => self.sysctl.as_ref()?.to_string(),
            "fault" => fault_name(self.fault),
            _ => return None,
        })
    }

    /// Whether it has all these levels.
    pub fn has(&self, levels: &BTreeMap<String, String>) -> bool {
        levels.iter().all(|(factor, level)| self.level(factor).as_ref() == Some(level))
    }
}

/// One run to be made. `cell` and `load` are positions in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From 1.
    pub round: u32,
    /// Position among all runs, from 1.
    pub order: u32,
    /// Which cell.
    pub cell: usize,
    /// Which load.
    pub load: usize,
}

/// The levels of a factor that may have none: then there is one level, that of no choice.
fn optional<T: Clone>(levels: &[T]) -> Vec<Option<T>> {
    if levels.is_empty() { vec![None] } else { levels.iter().cloned().map(Some).collect() }
}

/// All cells of an experiment, in groups that are compared within: the full matrix, workers slowest, faults fastest.
pub fn groups(spec: &Spec) -> Vec<Group> {
    let factors = &spec.factors;
    let sources: Vec<String> = factors.sources.iter().map(ToString::to_string).collect();
    let mut groups = vec![Group::default()];
    groups = times(&groups, &factors.workers, |group, level| group.workers = level);
    groups = times(&groups, &factors.respond, |group, level| group.respond = level);
    groups = times(&groups, &optional(&factors.backlog), |group, level| group.backlog = level);
    groups = times(&groups, &optional(&sources), |group, level| group.sources = level);
    groups = times(&groups, &factors.pin, |group, level| group.pin = level);
    groups = times(&groups, &optional(&factors.sysctl), |group, level| group.sysctl = level);
    groups = times(&groups, &factors.fault, |group, level| group.fault = level);
    for group in &mut groups {
        group.title = title(group, spec);
        group.cells = columns(group, spec);
    }
    groups
}

/// Every group with every level.
fn times<T: Clone>(groups: &[Group], levels: &[T], set: impl Fn(&mut Group, T)) -> Vec<Group> {
    let mut product = Vec::new();
    for group in groups {
        for level in levels {
            let mut group = group.clone();
            set(&mut group, level.clone());
            product.push(group);
        }
    }
    product
}

/// The levels of the factors that have several.
fn title(group: &Group, spec: &Spec) -> String {
    let factors = &spec.factors;
    let mut parts = Vec::new();
    let mut part = |several: bool, text: Option<String>| parts.extend(text.filter(|_| several));
    part(factors.workers.len() > 1, Some(format!("w={}", group.workers)));
    part(factors.respond.len() > 1, Some(group.respond.clone()));
    part(factors.backlog.len() > 1, group.backlog.map(|n| format!("backlog={n}")));
    part(factors.sources.len() > 1, group.sources.as_ref().map(|sources| format!("from {sources}")));
    part(factors.pin.len() > 1, Some(format!("pin={}", group.pin)));
    part(factors.sysctl.len() > 1, group.sysctl.as_ref().map(Sysctl::short));
    part(
        factors.fault.len() > 1,
        Some(group.fault.map_or_else(|| "no fault".into(), |fault| fault.to_string())),
    );
    parts.join(" ")
}

/// The cells of a group: baseline, its twin, the other listeners, and the peers that can do this group's work.
fn columns(group: &Group, spec: &Spec) -> Vec<Cell> {
    let cell = |column: &str, peer: bool, twin: bool| {
        let space = if group.title.is_empty() { "" } else { " " };
        Cell {
            id: format!("{column}{space}{}{}", group.title, if twin { " (A/A)" } else { "" }),
            listener: if peer { String::new() } else { column.to_owned() },
            peer: peer.then(|| column.to_owned()),
            workers: group.workers,
            respond: group.respond.clone(),
            backlog: group.backlog,
            sources: group.sources.clone(),
            pin: group.pin,
            sysctl: group.sysctl.clone(),
            fault: group.fault,
            twin,
        }
    };
    let factors = &spec.factors;
    let mut cells = vec![cell(&spec.baseline, false, false)];
    cells.extend(spec.twin.then(|| cell(&spec.baseline, false, true)));
    let others = factors.listener.iter().filter(|listener| **listener != spec.baseline);
    cells.extend(others.map(|listener| cell(listener, false, false)));
    cells.extend(factors.peers.iter().filter(|peer| can(peer, group)).map(|peer| cell(peer, true, false)));
    cells
}

/// Whether a peer can do the work of a group. Only ours occupy a worker for as long as a request asks, have a configuration
/// that the lab could change, and end in good order on SIGTERM; of the others only nginx replaces its workers on SIGHUP
/// without a pause.
fn can(peer: &str, group: &Group) -> bool {
    let survives = match group.fault.map(|fault| fault.kind) {
        Some(FaultKind::Stall | FaultKind::Shrink | FaultKind::Grow | FaultKind::End) => false,
        Some(FaultKind::Reload) => peer.starts_with("nginx"),
        _ => true,
    };
    survives && peers::can(peer, &group.respond)
}

/// The cells of which a trial run finds the capacity: the baseline of every number of workers and every kind of work. None
/// where no load refers to a capacity.
pub fn trials(spec: &Spec) -> Vec<Cell> {
    let mut trials: Vec<Cell> = Vec::new();
    if spec.load.iter().any(|load| load.open_of_capacity.is_some()) {
        for cell in cells(spec) {
            if !trials.iter().any(|trial| same_work(trial, &cell)) {
                trials.push(cell);
            }
        }
    }
    trials
}

/// Whether two cells have the same capacity to refer to.
pub fn same_work(a: &Cell, b: &Cell) -> bool {
    (a.workers, &a.respond) == (b.workers, &b.respond)
}

/// All cells of an experiment.
pub fn cells(spec: &Spec) -> Vec<Cell> {
    groups(spec).into_iter().flat_map(|group| group.cells).collect()
}

/// All runs in the order in which they are made: every cell under every load once per round, each round shuffled.
pub fn runs(spec: &Spec) -> Vec<Planned> {
    let mut random = ChaCha8Rng::seed_from_u64(spec.seed);
    let cells = cells(spec).len();
    let mut runs = Vec::new();
    for round in 1..=spec.rounds {
        let mut block: Vec<_> =
            (0..cells).flat_map(|cell| (0..spec.load.len()).map(move |load| (cell, load))).collect();
        block.shuffle(&mut random);
        for (cell, load) in block {
            runs.push(Planned { round, order: runs.len() as u32 + 1, cell, load });
        }
    }
    runs
}

/// Seconds that starts and stops of server and load generator add to a run, about.
const AROUND_S: f64 = 0.25;

/// Seconds that a connection of a sequence takes, about.
const CONNECTION_S: f64 = 0.0025;

/// Seconds that one run takes, about, on average over the faults. One that ends with a number of requests is taken to last as long as the others.
pub fn run_seconds(spec: &Spec) -> f64 {
    let sequence_s = spec.sequence.map_or(0.0, |sequence| f64::from(sequence.connections) * CONNECTION_S);
    let faults = &spec.factors.fault;
    let measured_s = faults.iter().map(|fault| spec.measured_s(*fault)).sum::<f64>() / faults.len() as f64;
    spec.warmup_s + sequence_s + measured_s + AROUND_S
}

/// Seconds that the experiment takes, about.
pub fn seconds(spec: &Spec) -> f64 {
    (runs(spec).len() + trials(spec).len()) as f64 * run_seconds(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Spec {
        Spec::parse(include_str!("../../../experiments/quick.toml"), "quick.toml").unwrap()
    }

    #[test]
    fn the_baseline_runs_twice_under_two_names() {
        let ids: Vec<_> = cells(&quick()).into_iter().map(|cell| cell.id).collect();
        assert_eq!(ids, ["inherited", "inherited (A/A)", "reuseport", "round-robin"]);
    }

    #[test]
    fn where_nothing_is_compared_the_baseline_runs_once() {
        let spec = Spec { twin: false, ..quick() };
        let ids: Vec<_> = cells(&spec).into_iter().map(|cell| cell.id).collect();
        assert_eq!(ids, ["inherited", "reuseport", "round-robin"]);
    }

    #[test]
    fn a_factor_with_several_levels_shows_in_the_names() {
        let mut spec = quick();
        spec.factors.workers = vec![2, 8];
        let groups = groups(&spec);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[1].cells[1].id, "inherited w=8 (A/A)");
    }

    #[test]
    fn every_kind_of_work_has_a_trial_of_its_own_where_a_load_refers_to_capacity() {
        let mut spec = quick();
        spec.factors.respond = vec!["fixed".into(), "sleep:const(1ms)".into()];
        spec.factors.fault = vec![None, Some("kill@1s".parse().unwrap())];
        let ids: Vec<String> = trials(&spec).into_iter().map(|cell| cell.id).collect();
        assert_eq!(ids, ["inherited fixed no fault", "inherited sleep:const(1ms) no fault"]);
        spec.load.retain(|load| load.open_of_capacity.is_none());
        assert!(trials(&spec).is_empty());
    }

    #[test]
    fn the_order_is_a_function_of_the_seed() {
        let mut spec = quick();
        let first = runs(&spec);
        assert_eq!(first, runs(&spec));
        spec.seed += 1;
        assert_ne!(first, runs(&spec));
    }

    #[test]
    fn every_round_has_every_cell_under_every_load_once() {
        let runs = runs(&quick());
        assert_eq!(runs.len(), 4 * 4 * 2);
        for round in 1..=4 {
            let mut pairs: Vec<_> =
                runs.iter().filter(|r| r.round == round).map(|r| (r.cell, r.load)).collect();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(pairs.len(), 8);
        }
        assert!(runs.iter().zip(1..).all(|(run, order)| run.order == order));
    }

    #[test]
    fn the_quick_experiment_takes_about_a_minute() {
        assert!((45.0..75.0).contains(&seconds(&quick())));
    }

    #[test]
    fn the_matrix_is_full_and_peers_stand_where_they_can_work() {
        let mut spec = quick();
        spec.factors.respond = vec!["fixed".into(), "sleep:const(1ms)".into()];
        spec.factors.peers = vec!["nginx:exclusive".into()];
        spec.factors.backlog = vec![128, 4096];
        spec.factors.fault = vec![None, Some("kill@500ms".parse().unwrap())];
        let groups = groups(&spec);
        assert_eq!(groups.len(), 2 * 2 * 2);
        let titles: Vec<&str> = groups.iter().map(|group| group.title.as_str()).collect();
        assert_eq!(titles[1], "fixed backlog=128 kill@500ms");
        assert_eq!(groups[1].cells[4].id, "nginx:exclusive fixed backlog=128 kill@500ms");
        assert_eq!(groups[1].cells[4].column(), "nginx:exclusive");
        let columns: Vec<usize> = groups.iter().map(|group| group.cells.len()).collect();
        assert_eq!(columns, [5, 5, 5, 5, 4, 4, 4, 4]);
        let levels = [("backlog".to_owned(), "4096".to_owned()), ("fault".to_owned(), "none".to_owned())];
        assert_eq!(groups.iter().filter(|group| group.has(&levels.clone().into())).count(), 2);
    }

    proptest::proptest! {
        #[test]
        fn every_round_has_every_run_once_in_an_order_that_is_a_function_of_the_seed(
            seed: u64, rounds in 1..6_u32, workers in 1..4_usize, backlogs in 0..3_u32, loads in 1..4_usize,
        ) {
            let mut spec = quick();
            (spec.seed, spec.rounds) = (seed, rounds);
            spec.factors.workers = (1..=workers).collect();
            spec.factors.backlog = (1..=backlogs).map(|n| n * 100).collect();
            spec.load = vec![spec.load[0].clone(); loads];
            let (all, cells) = (runs(&spec), cells(&spec));
            proptest::prop_assert_eq!(&all, &runs(&spec));
            proptest::prop_assert_eq!(cells.len(), 4 * workers * (backlogs.max(1) as usize));
            let mut ids: Vec<_> = cells.iter().map(|cell| &cell.id).collect();
            ids.sort();
            ids.dedup();
            proptest::prop_assert_eq!(ids.len(), cells.len());
            for round in 1..=rounds {
                let of_round = all.iter().filter(|run| run.round == round);
                let mut pairs: Vec<_> = of_round.map(|run| (run.cell, run.load)).collect();
                pairs.sort_unstable();
                let every: Vec<_> = (0..cells.len()).flat_map(|cell| (0..loads).map(move |load| (cell, load))).collect();
                proptest::prop_assert_eq!(pairs, every);
            }
            spec.rounds += 1;
            proptest::prop_assert_eq!(&runs(&spec)[..all.len()], &all[..]);
        }
    }
}
