//! Statistics of a report: once per comparison and metric, over the rounds of an experiment.

use caffeine::measure::stats::{Balance, bootstrap_median, bootstrap_ratio, sign_flip_p};
use criterion::Criterion;
use std::hint::black_box;

/// An experiment of 30 rounds, and the spread over 4 workers.
pub fn bench(criterion: &mut Criterion) {
    let differences: Vec<f64> = (0..30u32).map(|round| f64::from(round * 7919 % 101) - 40.0).collect();
    let counts = [24_911, 25_102, 24_987, 25_000];
    let mut group = criterion.benchmark_group("statistics");
    group.bench_function("bootstrap of a median, closed form", |bencher| {
        bencher.iter(|| bootstrap_median(black_box(&differences)));
    });
    group.bench_function("bootstrap of a ratio of medians, 10000 resamples", |bencher| {
        bencher.iter(|| bootstrap_ratio(black_box(&differences), black_box(&differences), 10_000, 1));
    });
    group.bench_function("randomisation test", |bencher| {
        bencher.iter(|| sign_flip_p(black_box(&differences), 1))
    });
    group.bench_function("balance", |bencher| bencher.iter(|| Balance::of(black_box(&counts))));
    group.finish();
}
