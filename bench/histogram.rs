//! Histograms: recording a duration, once per request, and the work done once per run.

use caffeine::measure::histogram::{self, Histogram};
use criterion::Criterion;
use std::hint::black_box;

/// Latencies of a run, spread over three decades.
fn filled() -> Histogram {
    let mut filled = histogram::new();
    for step in 0..100_000u64 {
        histogram::record(&mut filled, 50_000 + step * step % 49_950_000);
    }
    filled
}

/// Recording, merging, summarising and encoding.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("histogram");
    group.bench_function("record", |bencher| {
        let (mut counts, mut duration_ns) = (histogram::new(), 0);
        bencher.iter(|| {
            duration_ns = (duration_ns + 7_919) % 50_000_000;
            histogram::record(&mut counts, black_box(duration_ns));
        });
    });
    let run = filled();
    group.bench_function("merge two", |bencher| bencher.iter(|| histogram::merge([&run, &run])));
    group.bench_function("summary", |bencher| bencher.iter(|| histogram::summary(&run)));
    group.bench_function("encode", |bencher| bencher.iter(|| histogram::encode(&run)));
    group.finish();
}
