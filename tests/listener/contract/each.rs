//! Runs a test with each strategy, on each kind of socket that it can have.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use caffeine::listener::{Choice, SocketCount};

use crate::harness::{Sandbox, Server, skipped};

/// Strategies tested at the same time: they mostly wait.
const AT_ONCE: usize = 6;

/// A number from the environment.
pub fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// A strategy with its argument, on a TCP port or a unix socket.
pub struct Listener {
    pub strategy: String,
    unix: bool,
}

impl Listener {
    fn of(choice: &Choice, unix: bool) -> Self {
        let strategy = format!("{}:{}", choice.entry.name, choice.argument);
        Self { strategy: strategy.trim_end_matches(':').to_owned(), unix }
    }

    /// The options for it, before others.
    pub fn with(&self, sandbox: &Sandbox, others: &[&str]) -> Vec<String> {
        let mut options = vec!["--listener".to_owned(), self.strategy.clone()];
        if self.unix {
            options.extend(["--bind".to_owned(), format!("unix:{}", sandbox.path("socket").display())]);
        }
        options.extend(others.iter().map(ToString::to_string));
        options
    }

    #[track_caller]
    pub fn start(&self, sandbox: &Sandbox, others: &[&str]) -> Server {
        let options = self.with(sandbox, others);
        sandbox.start(&options.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.strategy, if self.unix { " over a unix socket" } else { "" })
    }
}

/// Tests every strategy with every argument, on a TCP port and, where it has one socket, on a unix socket. In the environment,
/// `CONTRACT_OF=uring,reuseport` picks strategies and `LANES=1` runs them one by one.
pub fn everywhere(test: impl Fn(&Choice, &Listener) + Sync) {
    try_each(&[false, true], test);
}

/// The same, on a TCP port only: what does not depend on the kind of socket, or cannot be seen of the other one.
pub fn over_tcp(test: impl Fn(&Choice, &Listener) + Sync) {
    try_each(&[false], test);
}

fn try_each(kinds: &[bool], test: impl Fn(&Choice, &Listener) + Sync) {
    let only = std::env::var("CONTRACT_OF").ok();
    let is_wanted = |choice: &Choice| {
        only.as_ref().is_none_or(|only| only.split(',').any(|name| name == choice.entry.name))
    };
    let has_one = |choice: &Choice| choice.sockets() == SocketCount::One;
    let choices: Vec<(Choice, bool)> = kinds
        .iter()
        .flat_map(|&unix| Choice::all().map(move |choice| (choice, unix)))
        .filter(|(choice, unix)| is_wanted(choice) && (!unix || has_one(choice)))
        .collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some((choice, unix)) = choices.get(next.fetch_add(1, SeqCst)) {
            let listener = Listener::of(choice, *unix);
            if let Err(reason) = choice.available() {
                skipped(format!("{listener}: {reason}"));
            } else if std::panic::catch_unwind(AssertUnwindSafe(|| test(choice, &listener))).is_err() {
                failed.lock().unwrap().push(listener.to_string());
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..number("LANES", AT_ONCE) {
            std::thread::Builder::new().name(format!("lane {number}")).spawn_scoped(scope, work).unwrap();
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these do not keep the contract, see above: {failed:?}");
}
