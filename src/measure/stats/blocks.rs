//! The exact test of a treated run against runs of its control, in blocks: one block is one round.
//!
//! Values are logarithms, so that a shift is a ratio. The mean of its block is taken from every value, all of them are
//! ranked together (aligned ranks, Hodges and Lehmann 1962), and the sum of the ranks of the treated runs is compared with
//! its distribution when the treated run of each block is drawn by lot (Fisher 1935). That distribution is found by
//! convolution, so p is exact for any number of blocks. The test holds whatever the noise is, also if it drifts from
//! block to block or has bursts, as long as the order of the runs in a block is random.
//!
//! The interval is made of the shifts that the test does not refuse (Hodges and Lehmann 1963), so an interval and a p
//! never contradict each other.

use super::{Interval, TAIL, boundary};

/// One round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub treated: f64,
    pub control: f64,
    /// A second run of the control. With it ten blocks reach p = 2/3^10, without it 2/2^10.
    pub twin: Option<f64>,
}

/// Values that differ by less have the same rank.
const TIE: f64 = 1e-12;
/// Halvings of the range in which a shift is sought.
const HALVINGS: u32 = 26;

impl Block {
    fn members(&self, shift: f64) -> ([f64; 3], usize) {
        let values = [self.treated - shift, self.control, self.twin.unwrap_or(0.0)];
        (values, if self.twin.is_some() { 3 } else { 2 })
    }
}

/// Ranks of the members of a block, the treated one first.
#[derive(Clone, Copy, Default)]
struct Ranks {
    /// Doubled, so that tied values have whole ranks.
    ranks: [usize; 3],
    size: usize,
}

impl Ranks {
    fn all(&self) -> &[usize] {
        &self.ranks[..self.size]
    }
}

fn ranked(blocks: &[Block], shift: f64) -> Vec<Ranks> {
    let mut aligned: Vec<(f64, usize, usize)> = Vec::with_capacity(3 * blocks.len());
    let mut ranks = vec![Ranks::default(); blocks.len()];
    for (index, block) in blocks.iter().enumerate() {
        let (values, size) = block.members(shift);
        let mean = values[..size].iter().sum::<f64>() / size as f64;
        ranks[index].size = size;
        aligned.extend(values[..size].iter().enumerate().map(|(place, value)| (value - mean, index, place)));
    }
    aligned.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0;
    for tied in aligned.chunk_by(|a, b| b.0 - a.0 <= TIE) {
        for &(_, block, place) in tied {
            ranks[block].ranks[place] = 2 * below + tied.len() + 1;
        }
        below += tied.len();
    }
    ranks
}

/// Probabilities that one rank from each block, drawn by lot, add up to at most and to at least those of the treated.
fn tails(blocks: &[Block], shift: f64) -> [f64; 2] {
    let mut odds = vec![1.0];
    let mut observed = 0;
    for block in ranked(blocks, shift) {
        let (least, most) =
            block.all().iter().fold((usize::MAX, 0), |(low, high), &r| (low.min(r), high.max(r)));
        observed += block.ranks[0] - least;
        let mut next = vec![0.0; odds.len() + most - least];
        let share = 1.0 / block.size as f64;
        for rank in block.all() {
            let sums = &mut next[rank - least..];
            sums.iter_mut().zip(&odds).for_each(|(to, from)| *to += from * share);
        }
        odds = next;
    }
    [odds[..=observed].iter().sum(), odds[observed..].iter().sum()]
}

/// Two-sided p of the test that the treated runs differ from their controls by `shift`; 1 without blocks.
pub fn shift_p(blocks: &[Block], shift: f64) -> f64 {
    let [below, above] = tails(blocks, shift);
    (2.0 * below.min(above)).min(1.0)
}

/// The smallest p that blocks of these sizes can have.
pub fn least_p(blocks: &[Block]) -> f64 {
    2.0 * blocks.iter().map(|block| 1.0 / block.members(0.0).1 as f64).product::<f64>()
}

/// The shift of the treated runs, and its 95 % interval. With too few blocks for an interval (fewer than four of three
/// members, or six of two), the range of the shifts of single blocks. `None` without blocks.
pub fn shift(blocks: &[Block]) -> Option<(f64, Interval)> {
    let pairs: Vec<f64> = blocks
        .iter()
        .flat_map(|b| [Some(b.control), b.twin].into_iter().flatten().map(|c| b.treated - c))
        .collect();
    let all = Interval::range(&pairs)?;
    let span = all.high - all.low + 1e-6;
    // Without that much at either end every treated run would rank above, or below, every control.
    let edge = |holds: &dyn Fn(f64) -> bool| boundary([all.low - span, all.high + span], HALVINGS, holds);
    let middle =
        f64::midpoint(edge(&|shift| lean(blocks, shift) > 0), edge(&|shift| lean(blocks, shift) >= 0));
    if least_p(blocks) > 2.0 * TAIL {
        let single: Vec<f64> = paired(blocks).iter().map(|b| b.treated).collect();
        return Some((middle, Interval::range(&single)?));
    }
    let low = edge(&|shift| tails(blocks, shift)[1] <= TAIL);
    let high = edge(&|shift| tails(blocks, shift)[0] > TAIL);
    Some((middle, Interval { low: low.min(middle), high: high.max(middle) }))
}

/// The rounds as differences to the mean of the controls, of which the test asks only that they are symmetric (Wilcoxon 1945): for
/// values that vary more when treated.
pub fn paired(blocks: &[Block]) -> Vec<Block> {
    let mean = |b: &Block| b.twin.map_or(b.control, |twin| f64::midpoint(b.control, twin));
    blocks.iter().map(|b| Block { treated: b.treated - mean(b), control: 0.0, twin: None }).collect()
}

/// How far the ranks of the treated runs are above the mean of their blocks, in sixths of a rank.
fn lean(blocks: &[Block], shift: f64) -> i64 {
    let above = |block: &Ranks| {
        let mean = block.all().iter().sum::<usize>() * (6 / block.size);
        6 * block.ranks[0] as i64 - mean as i64
    };
    ranked(blocks, shift).iter().map(above).sum()
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;
