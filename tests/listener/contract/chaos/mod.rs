//! Chaos: workers are killed and suspended, the instance is reloaded, resized and its log rotated, at random,
//! while clients connect; then every connection is accounted for. It was answered completely, or a killed
//! process held it (its socket was among that process's descriptors when it was killed), or the strategy
//! documents this loss.
//!
//! About a second per strategy. `CHAOS_SECONDS=60` makes it longer, `CHAOS_SEED` repeats the events and
//! requests of a run (their timing differs), `CHAOS_RATE` is connections per second, and
//! `CONTRACT_OF=uring,dispatch` picks strategies.

mod client;
mod deaths;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use caffeine::listener::{Choice, Loss};
use nix::sys::signal::{Signal, kill};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::over_tcp;
use crate::harness::traffic::children;
use crate::harness::{Sandbox, Server, eventually, pid};
use client::{End, Story, converse};
use deaths::{Death, is_ours, kill_and_see};

/// Concurrent clients; more than ever wait.
const CLIENTS: usize = 48;
/// Long enough after a death for its clients to have noticed.
const NOTICED: Duration = Duration::from_secs(2);

const HELLO: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n'\n";
const COUNT: &str =
    "#!/bin/sh\nn=$(wc -c)\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s' ${#n} \"$n\"\n";

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// The events of a run and when they happened.
struct Chaos<'a> {
    sandbox: &'a Sandbox,
    server: &'a Server,
    random: ChaCha8Rng,
    /// Suspended processes and when they are resumed.
    stopped: Vec<(u32, Instant)>,
    deaths: Vec<Death>,
    /// When generations began to change.
    reloads: Vec<Instant>,
    events: BTreeMap<&'static str, usize>,
}

impl Chaos<'_> {
    fn go_on_until(&mut self, end: Instant) {
        while Instant::now() < end {
            let now = Instant::now();
            self.resume(|until| until <= now);
            let name = self.event();
            *self.events.entry(name).or_default() += 1;
            std::thread::sleep(Duration::from_millis(self.random.random_range(20..300)));
        }
        self.resume(|_| true);
    }

    fn event(&mut self) -> &'static str {
        match self.random.random_range(0..10) {
            0..3 => self.kill(),
            3..6 => self.stop(),
            6..8 => self.reload(),
            8 => self.resize(),
            _ => self.rotate(),
        }
    }

    fn resume(&mut self, due: impl Fn(Instant) -> bool) {
        self.stopped.retain(|(number, until)| {
            let due = due(*until);
            if due && is_ours(self.server, *number) {
                let _ = kill(pid(*number), Signal::SIGCONT);
            }
            !due
        });
    }

    /// Any child of the supervisor that is a process of the server, of this generation or an older one.
    fn some_process(&mut self) -> Option<u32> {
        let mut all = children(self.server.pid());
        all.retain(|&number| is_ours(self.server, number));
        (!all.is_empty()).then(|| all[self.random.random_range(0..all.len())])
    }

    fn kill(&mut self) -> &'static str {
        let death = self.some_process().and_then(|number| kill_and_see(self.server, number));
        self.deaths.extend(death);
        "kill"
    }

    fn stop(&mut self) -> &'static str {
        if let Some(number) = self.some_process() {
            let until = Instant::now() + Duration::from_millis(self.random.random_range(20..800));
            let _ = kill(pid(number), Signal::SIGSTOP);
            self.stopped.push((number, until));
        }
        "stop"
    }

    fn reload(&mut self) -> &'static str {
        self.reloads.push(Instant::now());
        self.server.signal(Signal::SIGHUP);
        "reload"
    }

    fn resize(&mut self) -> &'static str {
        self.sandbox.write("c.toml", format!("workers = {}\n", self.random.random_range(1..7)));
        self.reload();
        "resize"
    }

    fn rotate(&mut self) -> &'static str {
        let log = self.server.folder().log();
        let _ = std::fs::rename(&log, log.with_extension("old"));
        self.server.signal(Signal::SIGUSR1);
        "rotate"
    }
}

/// Makes connections at `rate` per second until `end`; returns each client's report.
fn stories(address: SocketAddr, seed: u64, rate: u64, end: Instant, fixed: bool) -> Vec<Story> {
    let (begin, next) = (Instant::now(), AtomicU64::new(0));
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    let at = begin + Duration::from_micros(number * 1_000_000 / rate);
                    if at >= end || Instant::now() >= end {
                        return;
                    }
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    let story = converse(address, seed, number, fixed);
                    all.lock().unwrap().push(story);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// One row of the table.
#[derive(Debug, Default)]
struct Account {
    connections: usize,
    answered: usize,
    /// Their sockets were among the descriptors of a process killed meanwhile.
    held_by_killed: usize,
    /// In the queue of a worker that died or left, where the strategy documents that loss.
    queue: usize,
    closed_when_idle: usize,
    unaccounted: Vec<String>,
}

impl Account {
    fn of(choice: &Choice, chaos: &Chaos, stories: Vec<Story>, begun: Instant) -> Self {
        let mut account = Self { connections: stories.len(), ..Self::default() };
        let promises = choice.promises();
        let loses_queues = promises.crash == Loss::Queue || promises.leave == Loss::Queue;
        let left = chaos.deaths.iter().map(|death| death.at).chain(chaos.reloads.iter().copied());
        let left: Vec<Instant> = left.collect();
        let told = |story: &Story, what: &str| {
            let (from, to) = (story.begun - begun, story.ended - begun);
            format!("#{} from port {}, {from:?} to {to:?}: {what}", story.number, story.port)
        };
        for story in stories {
            let meanwhile = |at: &Instant| story.begun <= *at + NOTICED && *at <= story.ended;
            match &story.end {
                End::Answered => account.answered += 1,
                End::ClosedWhenIdle if left.iter().any(meanwhile) => account.closed_when_idle += 1,
                End::ClosedWhenIdle => account.unaccounted.push(told(&story, "closed when idle")),
                End::Lost(_) if chaos.deaths.iter().any(|death| death.took(&story)) => {
                    account.held_by_killed += 1
                }
                End::Lost(_) if loses_queues && left.iter().any(meanwhile) => account.queue += 1,
                End::Lost(what) => account.unaccounted.push(told(&story, what)),
            }
        }
        account
    }

    fn row(&self, name: &str, work: &str) -> String {
        format!(
            "| {name} | {work} | {} | {} | {} | {} | {} | {} |",
            self.connections,
            self.answered,
            self.held_by_killed,
            self.queue,
            self.closed_when_idle,
            self.unaccounted.len()
        )
    }
}

fn live(choice: &Choice, listener: &str, fixed: bool, seed: u64, rows: &Mutex<Vec<String>>) {
    let sandbox = Sandbox::new();
    sandbox.handler("hello", HELLO);
    sandbox.handler("count", COUNT);
    let config = sandbox.write("c.toml", "workers = 4\n");
    let respond = if fixed { "fixed" } else { "cgi" };
    let arguments = ["-c", config.to_str().unwrap(), "--listener", listener, "--respond", respond];
    let server = sandbox.start(&[&arguments[..], &["--log-level", "WARN"]].concat());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
    let mut chaos = Chaos {
        sandbox: &sandbox,
        server: &server,
        random: ChaCha8Rng::seed_from_u64(seed),
        stopped: Vec::new(),
        deaths: Vec::new(),
        reloads: Vec::new(),
        events: BTreeMap::new(),
    };
    let begun = Instant::now();
    let end = begun + Duration::from_millis(asked("CHAOS_SECONDS", 1) * 1000 / 2);
    let rate = asked("CHAOS_RATE", 100);
    let stories = std::thread::scope(|scope| {
        let clients = scope.spawn(|| stories(address, seed, rate, end, fixed));
        chaos.go_on_until(end);
        clients.join().unwrap()
    });
    let account = Account::of(choice, &chaos, stories, begun);
    rows.lock().unwrap().push(account.row(listener, respond));
    let told = |instants: &[Instant]| instants.iter().map(|at| *at - begun).collect::<Vec<_>>();
    let deaths: Vec<_> = chaos.deaths.iter().map(|death| (death.process, death.at - begun)).collect();
    assert!(
        account.unaccounted.is_empty(),
        "{listener} {respond}, seed {seed}: {account:#?}\n{:?}\nkilled: {deaths:?}\nreloads: {:?}\n{}",
        chaos.events,
        told(&chaos.reloads),
        server.log()
    );
    // The instance still serves and stops normally.
    eventually("it serves again", || {
        (0..20).all(|number| converse(address, seed, number, fixed).end == End::Answered)
    });
    assert!(account.answered > 0, "{listener}: {account:?}");
    server.stop();
}

#[test]
fn every_connection_is_accounted_for_under_chaos() {
    let seed = asked("CHAOS_SEED", 11);
    let rows = Mutex::new(Vec::new());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // The port of a client shows which process had its connection.
        over_tcp(|choice, listener| {
            let listener = &*listener.strategy;
            let works = [true, false].map(|fixed| {
                catch_unwind(AssertUnwindSafe(|| live(choice, listener, fixed, seed, &rows))).is_ok()
            });
            assert_eq!(works, [true, true], "{listener}: fixed answers, handlers; see above");
        });
    }));
    let mut rows = rows.into_inner().unwrap();
    rows.sort();
    eprintln!("seed {seed}");
    eprintln!(
        "| strategy | work | connections | answered | held by a killed process | lost queue | closed when idle | unaccounted |"
    );
    eprintln!("|{}", " --- |".repeat(8));
    rows.iter().for_each(|row| eprintln!("{row}"));
    outcome.unwrap_or_else(|failure| resume_unwind(failure));
}
