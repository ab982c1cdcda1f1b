//! Statistics of a report: once per comparison and metric, over the rounds of an experiment.

use caffeine::measure::stats::{Balance, Block, median_interval, shift, shift_p};
use criterion::Criterion;
use std::hint::black_box;

/// An experiment of 30 rounds, and the spread over 4 workers.
pub fn bench(criterion: &mut Criterion) {
    let values: Vec<f64> = (0..30u32).map(|round| f64::from(round * 7919 % 101) - 40.0).collect();
    let block = |three: &[f64]| Block { treated: three[0], control: three[1], twin: Some(three[2]) };
    let blocks: Vec<Block> = values.windows(3).map(block).collect();
    let counts = [24_911, 25_102, 24_987, 25_000];
    let mut group = criterion.benchmark_group("statistics");
    group.bench_function("interval of a median", |bencher| {
        bencher.iter(|| median_interval(black_box(&values)));
    });
    group.bench_function("exact test in blocks", |bencher| bencher.iter(|| shift_p(black_box(&blocks), 0.0)));
    group.bench_function("interval of a shift", |bencher| bencher.iter(|| shift(black_box(&blocks))));
    group.bench_function("balance", |bencher| bencher.iter(|| Balance::of(black_box(&counts))));
    group.finish();
}
