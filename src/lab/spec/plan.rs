//! From an experiment to the list of its runs. Pure: the order is a function of the seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{FaultKind, Levels, Load, Spec, peers};
use crate::dist::mix;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Name in tables, plots and data.
    pub id: String,
    /// Strategy, `NAME[:ARG]`, followed by options of the server; empty for a peer.
    pub listener: String,
    /// Another server in place of ours.
    pub peer: Option<String>,
    pub levels: Levels,
    /// The column that it is compared with, if not the baseline.
    pub against: Option<String>,
    /// Whether this is the second run (A/A) of a column that others are compared with.
    pub twin: bool,
}

impl Cell {
    pub fn strategy(&self) -> &str {
        self.listener.split_whitespace().next().unwrap_or_default()
    }

    pub fn has_options(&self) -> bool {
        self.strategy().len() < self.listener.len()
    }

    /// The strategy or server, without its group.
    pub fn name(&self) -> String {
        format!("{}{}", self.column(), if self.twin { " (A/A)" } else { "" })
    }

    pub fn column(&self) -> &str {
        self.peer.as_deref().unwrap_or(&self.listener)
    }
}

/// Cells that are compared with each other: all factors but the column are the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// What distinguishes it from the other groups, such as `w=12 kill@1s`; empty if it is the only one.
    pub title: String,
    pub levels: Levels,
    /// Baseline first, then the others in the order of the file; a twin follows its column.
    pub cells: Vec<Cell>,
}

/// `cell` and `load` are positions in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    pub round: u32,
    /// From 1.
    pub order: u32,
    pub cell: usize,
    pub load: usize,
}

/// All cells of an experiment in groups: the full matrix, workers slowest, faults fastest.
pub fn groups(spec: &Spec) -> Vec<Group> {
    let group = |levels: Levels| {
        let title = spec.factors.title(&levels);
        Group { cells: columns(&title, &levels, spec), title, levels }
    };
    spec.factors.combinations().into_iter().map(group).collect()
}

/// The cells of a group: baseline, the other listeners, the peers that can do the work of this group, and twins.
fn columns<'s>(title: &str, levels: &Levels, spec: &'s Spec) -> Vec<Cell> {
    let space = if title.is_empty() { "" } else { " " };
    let cell = |column: &str, peer: bool| Cell {
        id: format!("{column}{space}{title}"),
        listener: if peer { String::new() } else { column.to_owned() },
        peer: peer.then(|| column.to_owned()),
        levels: levels.clone(),
        against: spec.against.get(column).cloned(),
        twin: false,
    };
    let factors = &spec.factors;
    let is_peer = !factors.listener.contains(&spec.baseline);
    let mut cells = vec![cell(&spec.baseline, is_peer)];
    let others = |columns: &'s [String]| columns.iter().filter(|column| **column != spec.baseline);
    cells.extend(others(&factors.listener).map(|listener| cell(listener, false)));
    cells.extend(others(&factors.peers).filter(|peer| can(peer, levels)).map(|peer| cell(peer, true)));
    if spec.twin { with_twins(&cells, spec.one_twin) } else { cells }
}

/// Adds the second run of every cell that another one is compared with: without it a comparison has blocks of two, which
/// cannot reach a small p. `one`: of the baseline alone.
fn with_twins(cells: &[Cell], one: bool) -> Vec<Cell> {
    let bases: Vec<usize> = cells.iter().skip(1).filter(|_| !one).map(|cell| base(cells, cell)).collect();
    let twin = |cell: &Cell| Cell { id: format!("{} (A/A)", cell.id), twin: true, ..cell.clone() };
    let mut all = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        all.push(cell.clone());
        all.extend((index == 0 || bases.contains(&index)).then(|| twin(cell)));
    }
    all
}

/// What a cell of a group is compared with: a twin with its column; others with the column that the experiment names, with
/// the same strategy without options, or else with the first.
pub fn base(cells: &[Cell], cell: &Cell) -> usize {
    let named = match &cell.against {
        _ if cell.twin => Some(cell.column()),
        Some(column) => Some(column.as_str()),
        None => cell.has_options().then(|| cell.strategy()),
    };
    let is = |column: &str| cells.iter().position(|other| !other.twin && other.column() == column);
    named.and_then(is).unwrap_or(0)
}

/// Whether a peer can do the work of a group. Only our server can be occupied for a requested time, has a configuration
/// that the lab can change, and stops gracefully on SIGTERM; among the peers only nginx replaces its workers on SIGHUP
/// without a pause.
fn can(peer: &str, levels: &Levels) -> bool {
    let survives = match levels.fault.map(|fault| fault.kind) {
        Some(FaultKind::Stall | FaultKind::Shrink | FaultKind::Grow | FaultKind::End) => false,
        Some(FaultKind::Reload) => peer.starts_with("nginx"),
        _ => true,
    };
    survives && peers::can(peer, &levels.respond)
}

/// Trial runs of a cell whose capacity is measured.
pub const TRIALS: usize = 5;
const LONGEST_TRIAL_S: f64 = 0.5;

/// The cells whose capacity trial runs measure: the baseline for each number of workers and each kind of work. None
/// unless a load refers to the capacity.
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

pub fn same_work(a: &Cell, b: &Cell) -> bool {
    let work = |levels: &Levels| (levels.workers, levels.respond.clone(), levels.occupy);
    work(&a.levels) == work(&b.levels)
}

pub fn cells(spec: &Spec) -> Vec<Cell> {
    groups(spec).into_iter().flat_map(|group| group.cells).collect()
}

/// Seed of a load in a round, for arrivals, jobs and the server: all strategies of a round get the same, since they are
/// compared in pairs, and every round another, since rounds are to be independent.
pub fn seed(spec: &Spec, round: u32, load: &Load) -> u64 {
    let load = load.name.bytes().map(u64::from);
    mix(std::iter::once(spec.seed).chain(load).chain([u64::from(round)]))
}

/// All runs in order: every cell under every load once per round, each round shuffled.
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

/// Runs of an experiment, without trial runs and repeated rounds.
pub fn count(spec: &Spec) -> u32 {
    (cells(spec).len() * spec.load.len()) as u32 * spec.rounds
}

/// Estimated seconds that starting and stopping server and load generator add to a run.
const AROUND_S: f64 = 0.25;

/// Estimated seconds for a connection of a sequence.
const CONNECTION_S: f64 = 0.0025;

/// Estimated seconds of a run. One that ends after a number of requests is assumed to last as long as the others.
pub fn run_seconds(spec: &Spec, cell: &Cell, load: &Load) -> f64 {
    let sequence_s = spec.sequence.map_or(0.0, |sequence| f64::from(sequence.connections) * CONNECTION_S);
    spec.warmup_s + sequence_s + spec.measured_s(load, cell.levels.fault) + AROUND_S
}

pub fn trial_s(spec: &Spec) -> f64 {
    spec.duration_s.min(LONGEST_TRIAL_S)
}

/// Estimated seconds for the experiment, without repeated rounds.
pub fn seconds(spec: &Spec) -> f64 {
    let cells = cells(spec);
    let round = |load: &Load| cells.iter().map(|cell| run_seconds(spec, cell, load)).sum::<f64>();
    let trial_s = spec.warmup_s + trial_s(spec) + AROUND_S;
    f64::from(spec.rounds) * spec.load.iter().map(round).sum::<f64>()
        + (trials(spec).len() * TRIALS) as f64 * trial_s
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
    fn a_peer_can_be_the_baseline_and_columns_name_what_they_are_compared_with() {
        let text = include_str!("../../../experiments/overhead.toml");
        let cells = cells(&Spec::parse(text, "overhead.toml").unwrap());
        let ids: Vec<&str> = cells.iter().take(3).map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids, ["command:c-block", "command:c-block (A/A)", "inherited"]);
        assert_eq!(cells.iter().filter(|cell| cell.column() == "command:c-block").count(), 2);
        let herd = cells.iter().find(|cell| cell.listener == "inherited-herd").unwrap();
        assert_eq!(herd.against.as_deref(), Some("command:c-herd"));
        let text = include_str!("../../../experiments/speed.toml");
        assert!(
            super::cells(&Spec::parse(text, "speed.toml").unwrap()).iter().all(|cell| cell.peer.is_some())
        );
    }

    #[test]
    fn every_column_that_others_are_compared_with_runs_twice() {
        let text = include_str!("../../../experiments/control.toml");
        let spec = Spec::parse(text, "control.toml").unwrap();
        let twins = |spec: &Spec| -> Vec<String> {
            let cells = groups(spec).swap_remove(0).cells;
            cells.into_iter().filter(|cell| cell.twin).map(|cell| cell.id).collect()
        };
        let all = ["inherited fixed (A/A)", "reuseport fixed (A/A)", "inherited-rearm fixed (A/A)"];
        assert_eq!(twins(&spec), all);
        assert_eq!(twins(&Spec { one_twin: true, ..spec }), all[..1], "results of before");
        let text = include_str!("../../../experiments/overhead.toml");
        let cells = cells(&Spec::parse(text, "overhead.toml").unwrap());
        let herd = cells.iter().position(|cell| cell.column() == "command:c-herd").unwrap();
        assert!(cells[herd + 1].twin && base(&cells, &cells[herd + 1]) == herd);
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
    fn all_cells_of_a_round_get_the_same_jobs_and_every_round_others() {
        let spec = quick();
        let of = |round, load: usize| seed(&spec, round, &spec.load[load]);
        assert_eq!(of(1, 0), of(1, 0));
        assert!(of(1, 0) != of(2, 0) && of(1, 0) != of(1, 1));
        assert_ne!(of(1, 0), seed(&Spec { seed: 1, ..quick() }, 1, &spec.load[0]));
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
        spec.factors.backlog = vec![Some(128), Some(4096)];
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
        assert_eq!(
            groups
                .iter()
                .filter(|group| group.levels.has(&std::collections::BTreeMap::from(levels.clone())))
                .count(),
            2
        );
    }

    proptest::proptest! {
        #[test]
        fn every_round_has_every_run_once_in_an_order_that_is_a_function_of_the_seed(
            seed: u64, rounds in 1..6_u32, workers in 1..4_usize, backlogs in 0..3_u32, loads in 1..4_usize,
        ) {
            let mut spec = quick();
            (spec.seed, spec.rounds) = (seed, rounds);
            spec.factors.workers = (1..=workers).collect();
            spec.factors.backlog = (1..=backlogs.max(1)).map(|n| Some(n * 100)).collect();
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
