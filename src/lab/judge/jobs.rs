//! Whether rounds are independent samples: new arrivals and jobs in each, the same for all strategies within it. Pure.

use std::collections::BTreeMap;

use crate::lab::results::data::RunData;
use crate::lab::results::store::Data;
use crate::lab::spec::plan::{self, Cell};
use crate::measure::record;

/// Where the times of random work come from; empty if no work is random.
pub fn source(data: &Data) -> String {
    let mut records = data.runs.iter().filter_map(|run| run.record.as_ref());
    match records.any(|record| record.plan.occupy.is_some()) {
        true => "The load generator draws how long each request occupies the server, from the seed of round and load and from the number of the request: the same jobs for every strategy of a round, others in each round.".into(),
        false => String::new(),
    }
}

/// Why rounds are not independent, or strategies were not given the same.
pub fn alarm(data: &Data) -> Option<String> {
    let cells = plan::cells(&data.spec);
    let plans = plans(data, &cells);
    let drawn = plans.iter().find(|(_, _, cell, plan)| {
        plan.occupy.is_none() && cell.peer.is_none() && cell.levels.jobs().is_some()
    });
    if let Some((_, _, cell, _)) = drawn {
        return Some(format!(
            "Workers drew the times of {} by themselves, and drew the same ones in every round: rounds are not independent, and the intervals are too narrow.",
            cell.levels.respond
        ));
    }
    let (mut rounds, mut seeds) = (BTreeMap::new(), BTreeMap::new());
    for (round, load, _, plan) in plans {
        let first = *rounds.entry((load, plan.seed)).or_insert(round);
        if first != round {
            return Some(format!(
                "Rounds {first} and {round} of {load} have the same seed and repeat the same arrivals and jobs: rounds are not independent, and the intervals are too narrow."
            ));
        }
        if *seeds.entry((load, round)).or_insert(plan.seed) != plan.seed {
            return Some(format!(
                "In round {round} of {load} strategies had different seeds: they were not given the same arrivals and jobs."
            ));
        }
    }
    None
}

fn plans<'a>(data: &'a Data, cells: &'a [Cell]) -> Vec<(u32, &'a str, &'a Cell, &'a record::Plan)> {
    let runs = data.runs.iter().filter(|run| run.round > 0);
    let one = |run: &'a RunData| {
        let cell = cells.iter().find(|cell| cell.id == run.cell)?;
        Some((run.round, run.load.as_str(), cell, &run.record.as_ref()?.plan))
    };
    runs.filter_map(one).collect()
}
