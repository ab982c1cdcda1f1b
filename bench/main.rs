//! Benchmarks of single steps of a request. `cargo bench` takes some minutes;
//! `cargo bench -- --test` runs each once. `lab` measures whole servers.

mod accept;
mod environment;
mod exchange;
mod histogram;
mod launch;
mod request;
mod route;
mod statistics;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Short, because there are many: differences of a few percent are below their resolution.
fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
}

criterion_group! {
    name = all;
    config = settings();
    targets = accept::bench, request::bench, route::bench, environment::bench, launch::bench, histogram::bench, statistics::bench, exchange::bench
}
criterion_main!(all);
