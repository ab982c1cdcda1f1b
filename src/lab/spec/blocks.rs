//! What is complete in a round together, and the rounds that repeat others. Pure.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::plan::{Group, Planned, groups};
use super::{Levels, Load, Spec};

/// Runs that are compared with each other: in a round all of them count or none. Positions in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub load: usize,
    pub cells: Vec<usize>,
}

/// The blocks of a round: a load and the cells of a group, or of several groups if an expectation compares them. A fault is
/// compared with the runs without one.
pub fn all(spec: &Spec) -> Vec<Block> {
    let groups = groups(spec);
    let mut next = 0;
    let mut take = |group: &Group| {
        next += group.cells.len();
        (next - group.cells.len()..next).collect::<Vec<usize>>()
    };
    let cells: Vec<Vec<usize>> = groups.iter().map(&mut take).collect();
    let mut blocks = Vec::new();
    for (load, Load { name, .. }) in spec.load.iter().enumerate() {
        let mut parts: Vec<Vec<usize>> = (0..groups.len()).map(|group| vec![group]).collect();
        for (group, Group { levels, .. }) in
            groups.iter().enumerate().filter(|(_, group)| group.levels.fault.is_some())
        {
            let calm = Levels { fault: None, ..levels.clone() };
            if let Some(calm) = groups.iter().position(|group| group.levels == calm) {
                join(&mut parts, group, calm);
            }
        }
        for expect in
            spec.expect.iter().filter(|expect| expect.load == *name && !expect.over_where.is_empty())
        {
            let mut levels = expect.pick.clone();
            levels.extend(expect.over_where.clone());
            let group = |levels| groups.iter().position(|group| group.levels.has(levels));
            if let (Some(of), Some(over)) = (group(&expect.pick), group(&levels)) {
                join(&mut parts, of, over);
            }
        }
        let block = |part: Vec<usize>| Block {
            load,
            cells: part.into_iter().flat_map(|g| cells[g].clone()).collect(),
        };
        blocks.extend(parts.into_iter().map(block));
    }
    blocks
}

/// Makes one part of the parts that hold these two.
fn join(parts: &mut Vec<Vec<usize>>, one: usize, other: usize) {
    let part = |parts: &[Vec<usize>], group| parts.iter().position(|part| part.contains(&group));
    if let (Some(first), Some(second)) = (part(parts, one), part(parts, other))
        && first != second
    {
        let moved = parts.remove(first.max(second));
        parts[first.min(second)].extend(moved);
    }
}

/// The runs of a round that repeats some blocks, in an order of its own; `before` runs were made before.
pub fn repeated(spec: &Spec, round: u32, blocks: &[&Block], before: u32) -> Vec<Planned> {
    let mut random = ChaCha8Rng::seed_from_u64(spec.seed);
    random.set_stream(u64::from(round));
    let pairs = blocks.iter().flat_map(|block| block.cells.iter().map(|cell| (*cell, block.load)));
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    pairs.shuffle(&mut random);
    let orders = before + 1..;
    orders.zip(pairs).map(|(order, (cell, load))| Planned { round, order, cell, load }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Spec {
        Spec::parse(include_str!("../../../experiments/quick.toml"), "quick.toml").unwrap()
    }

    #[test]
    fn a_block_is_a_load_and_what_is_compared_under_it() {
        let spec = quick();
        let cells = vec![0, 1, 2, 3];
        assert_eq!(all(&spec), [Block { load: 0, cells: cells.clone() }, Block { load: 1, cells }]);
        let mut struck = quick();
        struck.factors.fault = vec![None, Some("kill@500ms".parse().unwrap())];
        assert_eq!(all(&struck)[0], Block { load: 0, cells: (0..8).collect() }, "a fault and none");
        let text = include_str!("../../../experiments/claim-r12.toml");
        let blocks = all(&Spec::parse(text, "claim-r12.toml").unwrap());
        assert_eq!(
            blocks,
            [Block { load: 0, cells: vec![0, 1, 2, 3] }],
            "an expectation compares two backlogs"
        );
    }

    #[test]
    fn a_repeated_round_has_the_runs_of_its_blocks_in_an_order_of_its_own() {
        let spec = quick();
        let blocks = all(&spec);
        let again = repeated(&spec, 5, &[&blocks[1]], 32);
        assert_eq!(again, repeated(&spec, 5, &[&blocks[1]], 32));
        assert!(again.iter().all(|run| run.round == 5 && run.load == 1));
        assert_eq!(again.iter().map(|run| run.order).collect::<Vec<_>>(), [33, 34, 35, 36]);
        let mut cells: Vec<usize> = again.iter().map(|run| run.cell).collect();
        cells.sort_unstable();
        assert_eq!(cells, [0, 1, 2, 3]);
    }
}
