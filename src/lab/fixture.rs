//! Data of an experiment that never was, for tests: the quick experiment with known shares and latencies.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::data::{Environment, RunData, SCHEMA, Usage, Void, Worker};
use super::plan;
use super::spec::{Load, Spec};
use super::store::Data;
use crate::measure::histogram;
use crate::measure::machine::{Facts, Git, Kernel};
use crate::measure::record::{Plan, RunRecord};

/// The experiment over `rounds` rounds. reuseport is 10 % slower than the others, and spreads like a hash.
pub fn quick(rounds: u32) -> Data {
    let mut spec = Spec::parse(include_str!("../../experiments/quick.toml"), "quick.toml").unwrap();
    spec.rounds = rounds;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let cells = plan::cells(&spec);
    let mut runs = vec![run("inherited", &spec.load[0], &mut random)];
    for planned in plan::runs(&spec) {
        let cell = &cells[planned.cell];
        let mut run = run(&cell.listener, &spec.load[planned.load], &mut random);
        (run.round, run.order, run.cell) = (planned.round, planned.order, cell.id.clone());
        runs.push(run);
    }
    Data { spec, environment: environment(), runs }
}

/// Turns a run into one whose server died.
pub fn void(run: &mut RunData) {
    run.record = None;
    run.void =
        Some(Void { reason: "caffeine died under load (signal: 9)".into(), stderr: "last <words>".into() });
}

fn environment() -> Environment {
    Environment {
        schema: SCHEMA,
        experiment: "quick".into(),
        label: "bench1".into(),
        started: "20261123T010000Z".into(),
        handler: Some("hello.c, compiled with cc -O2 -static -nostdlib".into()),
        machine: Facts {
            kernel: "Linux 6.18.44".into(),
            architecture: "x86_64".into(),
            cpu: "Test CPU".into(),
            cores: 2,
            memory_mib: 24105,
            virtualised: Some(true),
            sysctls: [("net.core.somaxconn".into(), "4096".into())].into(),
            version: "0.1.0".into(),
            profile: "release".into(),
            git: Some(Git { commit: "0123456789ab".into(), dirty: false }),
            ..Facts::default()
        },
        ..Environment::default()
    }
}

fn run(listener: &str, load: &Load, random: &mut ChaCha8Rng) -> RunData {
    let slow = if listener == "reuseport" { 1.1 } else { 1.0 };
    let rate = if load.closed.is_some() { 1600.0 / slow } else { 800.0 } * random.random_range(0.98..1.02);
    let median_ms = if load.closed.is_some() { 9.5 } else { 1.6 } * slow * random.random_range(0.98..1.02);
    let completed = (rate * 1.2) as u64;
    let mut values = histogram::new();
    for _ in 0..completed {
        let tail = -random.random_range(0.001_f64..1.0).ln();
        histogram::record(&mut values, (median_ms * (0.6 + 0.25 * tail + 0.05 * tail * tail) * 1e6) as u64);
    }
    RunData {
        schema: SCHEMA,
        cell: listener.into(),
        load: load.name.clone(),
        started: "2026-11-23T01:00:00Z".into(),
        workers: workers(listener, completed, random),
        kernel: Kernel { busy_s: 2.0, idle_s: 0.6, context_switches: completed * 6, ..Kernel::default() },
        server: Usage { cpu_s: 0.2, voluntary_switches: completed, involuntary_switches: 30 },
        record: Some(RunRecord {
            schema: 1,
            version: "0.1.0".into(),
            profile: "release".into(),
            plan: Plan {
                model: if load.closed.is_some() { "closed" } else { "open" }.into(),
                connections: 16,
                rate: load.closed.is_none().then_some(800.0),
                ..Plan::default()
            },
            duration_s: 1.2,
            started: completed,
            completed,
            rate,
            statuses: [("200".into(), completed)].into(),
            latency: [
                ("response".into(), histogram::summary(&values)),
                ("service".into(), histogram::summary(&values)),
            ]
            .into(),
            histograms: [("response".into(), histogram::encode(&values))].into(),
            verdict: "OK".into(),
            ..RunRecord::default()
        }),
        ..RunData::default()
    }
}

fn workers(listener: &str, completed: u64, random: &mut ChaCha8Rng) -> Vec<Worker> {
    let mut accepted = [0_u64; 4];
    for turn in 0..completed {
        let worker = if listener == "reuseport" { random.random_range(0..4) } else { turn as usize % 4 };
        accepted[worker] += 1;
    }
    let worker = |(worker, accepted)| Worker {
        worker,
        accepted,
        wakeups: accepted,
        launched: accepted,
        ..Worker::default()
    };
    (0..).zip(accepted).map(worker).collect()
}
