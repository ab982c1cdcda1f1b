//! From an experiment to the list of its runs. Pure: the order is a function of the seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::spec::Spec;

/// One combination of the factors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Name in tables, plots and data.
    pub id: String,
    /// Strategy, `NAME[:ARG]`.
    pub listener: String,
    /// Worker processes.
    pub workers: usize,
    /// What a worker does with a request.
    pub respond: String,
    /// Whether this is the baseline a second time.
    pub twin: bool,
}

/// What the cells are compared within: same workers, same work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Worker processes.
    pub workers: usize,
    /// What a worker does with a request.
    pub respond: String,
    /// Baseline first, then its twin, then the others in the order of the file.
    pub cells: Vec<Cell>,
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

/// All cells of an experiment, in groups that are compared within.
pub fn groups(spec: &Spec) -> Vec<Group> {
    let factors = &spec.factors;
    let mut groups = Vec::new();
    for &workers in &factors.workers {
        for respond in &factors.respond {
            let cell = |listener: &String, twin: bool| {
                let mut id = listener.clone();
                if factors.workers.len() > 1 {
                    id += &format!(" w={workers}");
                }
                if factors.respond.len() > 1 {
                    id += &format!(" {respond}");
                }
                if twin {
                    id += " (A/A)";
                }
                Cell { id, listener: listener.clone(), workers, respond: respond.clone(), twin }
            };
            let mut cells = vec![cell(&spec.baseline, false), cell(&spec.baseline, true)];
            cells.extend(factors.listener.iter().filter(|l| **l != spec.baseline).map(|l| cell(l, false)));
            groups.push(Group { workers, respond: respond.clone(), cells });
        }
    }
    groups
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

/// Seconds that the experiment takes, with half a second per run for the start and the stop of a server.
pub fn seconds(spec: &Spec) -> f64 {
    runs(spec).len() as f64 * (spec.warmup_s + spec.duration_s + 0.25)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Spec {
        Spec::parse(include_str!("../../experiments/quick.toml"), "quick.toml").unwrap()
    }

    #[test]
    fn the_baseline_runs_twice_under_two_names() {
        let ids: Vec<_> = cells(&quick()).into_iter().map(|cell| cell.id).collect();
        assert_eq!(ids, ["inherited", "inherited (A/A)", "reuseport", "round-robin"]);
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
}
