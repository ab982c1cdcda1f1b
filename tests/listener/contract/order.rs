//! Which worker comes next when two have become idle one after the other: what tells "the one that has waited longest", "always
//! the same one" and "the one that became idle last" apart, which look alike one connection at a time or pairwise.

use std::time::Duration;

use caffeine::listener::{Spread, Wait};

use super::over_tcp;
use crate::harness::traffic::{Pending, begin, counters};
use crate::harness::{Sandbox, Server, eventually};

/// Long enough that a strategy which looks again every 500 ms takes the second connection while the first is served.
const RESPOND: &str = "sleep:const(900ms)";
/// Between the starts of the two requests, so that their workers become idle in a known order.
const APART: Duration = Duration::from_millis(150);
/// Rounds may be lost to a machine on which both workers become idle at once.
const TRIES: usize = 10;

/// Who gets the connection after two workers have become idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The one that became idle before the other.
    FirstIdle,
    /// The one that became idle last.
    LastIdle,
    /// One that was idle all the time.
    Longest,
}

/// Begins a request, and waits until a worker other than `other` serves it. `None` when none will.
fn served_by(server: &Server, other: Option<usize>) -> (Pending, Option<usize>) {
    let before: Vec<u64> = counters(server).iter().map(|row| row.accepted).collect();
    let client = begin(server, "/");
    let mut worker = None;
    eventually("a worker accepts", || {
        worker = counters(server).iter().zip(&before).position(|(row, before)| row.accepted > *before);
        worker.is_some()
    });
    (client, worker.filter(|worker| Some(*worker) != other))
}

/// The calls of a sleep.
const SLEEPS: [i64; 2] = [libc::SYS_clock_nanosleep, libc::SYS_nanosleep];

/// Whether a worker occupies itself as [`RESPOND`] says.
fn is_busy(pid: u32) -> bool {
    super::blocked_in(pid).is_some_and(|call| SLEEPS.contains(&call))
}

/// One try; `None` when the workers did not become idle in a known order.
fn next(server: &Server) -> Option<Next> {
    let pids = server.worker_pids();
    let waits = |worker: usize| super::blocked_in(pids[worker]).is_some_and(|call| !SLEEPS.contains(&call));
    eventually("all workers wait", || (0..pids.len()).all(waits));
    let (one, first) = served_by(server, None);
    std::thread::sleep(APART);
    let (two, second) = served_by(server, first);
    let (Some(first), Some(second)) = (first, second) else {
        one.finish();
        two.finish();
        return None;
    };
    eventually("both serve", || is_busy(pids[second]) || waits(second));
    let mut in_order = false;
    eventually("the first waits", || {
        in_order = is_busy(pids[second]);
        waits(first)
    });
    in_order &= is_busy(pids[second]);
    eventually("both wait", || waits(first) && waits(second));
    let (three, third) = served_by(server, None);
    for client in [one, two, three] {
        assert_eq!(client.finish().status, 200);
    }
    let next = match third {
        third if third == Some(first) => Next::FirstIdle,
        third if third == Some(second) => Next::LastIdle,
        _ => Next::Longest,
    };
    in_order.then_some(next)
}

#[test]
fn the_next_connection_goes_to_the_worker_that_the_spread_names() {
    over_tcp(|choice, listener| {
        let promises = choice.promises();
        let expected = match promises.spread {
            _ if !matches!(promises.busy, Wait::Nothing | Wait::UpToMs(_)) => None,
            Spread::Turn => Some(Next::Longest),
            // A lock that is tried from time to time has no fixed order.
            Spread::One if promises.busy == Wait::Nothing => Some(Next::FirstIdle),
            Spread::Latest => Some(Next::LastIdle),
            Spread::One | Spread::Hash | Spread::Race | Spread::Programmed => None,
        };
        let Some(expected) = expected else { return eprintln!("{listener}: no order is promised") };
        let sandbox = Sandbox::new();
        let server = listener.start(&sandbox, &["--respond", RESPOND, "-w", "4"]);
        assert_eq!(server.get("/").status, 200);
        let seen = (0..TRIES).find_map(|_| next(&server));
        assert_eq!(seen, Some(expected), "{listener}");
    });
}
