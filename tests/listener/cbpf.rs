//! How `reuseport-cbpf` chooses workers: by weight, and by the client's processor.

use caffeine::sys::tether;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::harness::traffic::counters;
use crate::harness::{Sandbox, Server, skipped};

/// Four workers behind a BPF program; `None` where the kernel refuses it.
fn choosing_by(argument: &str) -> Option<(Sandbox, Server)> {
    let listener = format!("reuseport-cbpf:{argument}");
    if let Err(reason) = listener.parse::<caffeine::listener::Choice>().unwrap().available() {
        skipped(format!("{listener}: {reason}"));
        return None;
    }
    let sandbox = Sandbox::new();
    let server = sandbox.start(&["-w", "4", "--respond", "fixed", "--listener", &listener]);
    Some((sandbox, server))
}

fn accepted(server: &Server) -> Vec<u64> {
    counters(server).iter().map(|row| row.accepted).collect()
}

#[test]
fn weights_are_shares_and_zero_gets_nothing() {
    let Some((_sandbox, server)) = choosing_by("weights=0,1,0,3") else { return };
    (0..400).for_each(|_| assert_eq!(server.get("/").status, 200));
    let accepted = accepted(&server);
    assert_eq!((accepted[0], accepted[2]), (0, 0), "{accepted:?}");
    // Expected are 300 with a standard deviation of 8.7.
    assert!((250..=350).contains(&accepted[3]), "{accepted:?}");
}

#[test]
fn clients_on_one_processor_reach_one_worker() {
    let Some((_sandbox, server)) = choosing_by("cpu") else { return };
    for processor in tether::processors().unwrap() {
        let before = accepted(&server);
        std::thread::scope(|scope| {
            let client = || {
                let mut only = CpuSet::new();
                only.set(processor).unwrap();
                sched_setaffinity(Pid::from_raw(0), &only).unwrap();
                (0..10).for_each(|_| assert_eq!(server.get("/").status, 200));
            };
            scope.spawn(client).join().unwrap();
        });
        let mut expected = before;
        expected[processor % 4] += 10;
        assert_eq!(accepted(&server), expected, "processor {processor}");
    }
}
