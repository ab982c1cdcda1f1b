//! The documented system calls per connection, compared with those the kernel sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caffeine::listener::Spread;

use super::over_tcp;
use crate::harness::syscalls::SYSCALLS;
use crate::harness::traffic::children;
use crate::harness::{Answer, Sandbox};

const CONNECTIONS: usize = 20;

type Calls = BTreeMap<&'static str, f64>;

/// System calls per connection in the processes below the supervisor; each connection arrives when all are
/// idle.
fn per_connection(listener: &str, workers: &str) -> Option<Calls> {
    let sandbox = Sandbox::new();
    let seen = Arc::new(Mutex::new(BTreeMap::<(u32, i64), usize>::new()));
    let count = Arc::clone(&seen);
    let numbers: Vec<i64> = SYSCALLS.iter().map(|(_, number)| *number).collect();
    let server = sandbox.start_behind(
        &numbers,
        move |call| {
            *count.lock().unwrap().entry((call.thread, call.number)).or_default() += 1;
            Answer::Allow
        },
        &["--listener", listener, "--respond", "fixed", "-w", workers, "--log-to", "file"],
    )?;
    let children = children(server.pid());
    let of_children = || -> Vec<(i64, usize)> {
        let seen = seen.lock().unwrap();
        let theirs = seen.iter().filter(|((thread, _), _)| children.contains(thread));
        theirs.map(|((_, number), count)| (*number, *count)).collect()
    };
    let when_quiet = || loop {
        let before = of_children();
        std::thread::sleep(Duration::from_millis(20));
        let after = of_children();
        if before == after {
            return after;
        }
    };
    assert_eq!(server.get("/").status, 200);
    let before = when_quiet();
    for _ in 0..CONNECTIONS {
        assert_eq!(server.get("/").status, 200);
        when_quiet();
    }
    let mut calls = Calls::new();
    let sum = |counts: &[(i64, usize)], number| -> usize {
        counts.iter().filter(|(of, _)| *of == number).map(|(_, count)| *count).sum()
    };
    let after = when_quiet();
    for &(name, number) in SYSCALLS {
        let more = sum(&after, number) - sum(&before, number);
        *calls.entry(name).or_default() += more as f64 / CONNECTIONS as f64;
    }
    Some(calls)
}

#[test]
fn a_connection_costs_the_documented_system_calls() {
    // The calls that a request costs with any strategy.
    let Some(mut common) = per_connection("inherited", "2") else { return };
    *common.get_mut("accept4").unwrap() -= 1.0;
    assert!(common["accept4"].abs() < 0.1, "{common:?}");
    over_tcp(|choice, listener| {
        // In a race the promise holds for the winner: with one worker there is no loser.
        let workers = if choice.promises().spread == Spread::Race { "1" } else { "2" };
        for (name, count) in per_connection(&listener.strategy, workers).unwrap() {
            let promised = choice.promises().calls.iter().filter(|call| **call == name).count() as f64;
            let seen = count - common[name];
            assert!(
                (seen - promised).abs() < 0.3,
                "{listener}: {name}: {seen} per connection, not {promised}"
            );
        }
    });
}
