//! The supervisor against a small reference model: an instance of each strategy goes through random sequences
//! of reloads (valid, invalid, overlapping, to more and fewer workers), deaths of any child, stops, signals
//! and requests, and is compared with the [model](reference) whenever it has settled.
//!
//! The printed seed fixes the steps of a life but not their timing. In the environment: `MODEL_SEED=n` tries
//! that seed, `MODEL_SECONDS=600` tries one seed after the other for that long (the first from the clock),
//! `MODEL_STEPS=40` makes lives longer, and `CONTRACT_OF=dispatch,uring` tries only these strategies.

mod account;
mod instance;
mod reference;
mod steps;

use std::time::{Duration, Instant, SystemTime};

use caffeine::listener::{Choice, Loss, Wait};
use nix::sys::signal::Signal;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use crate::listener::contract::over_tcp;
use instance::{Instance, WORKERS};
use reference::{Reference, Seen};
use steps::{Action, End, Life, Then};

/// Defaults in the suite.
const SEED: u64 = 20_261_126;
const STEPS: usize = 14;
/// Longer than an instance takes to settle; a worker that keeps dying is replaced within 5 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a failing life is simplified.
const SHRINKING_MS: u32 = 60_000;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn random_lives_of_an_instance_agree_with_the_model() {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let seconds = asked("MODEL_SECONDS");
    let mut seed = asked("MODEL_SEED").unwrap_or_else(|| seconds.map_or(SEED, |_| clock()));
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    loop {
        over_tcp(|choice, listener| try_seed(choice, &listener.strategy, seed));
        seed += 1;
        if Instant::now() >= end {
            break;
        }
    }
}

fn try_seed(choice: &Choice, listener: &str, seed: u64) {
    let begun = Instant::now();
    let config = Config {
        cases: 1,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_time: SHRINKING_MS,
        ..Config::default()
    };
    let most = usize::try_from(asked("MODEL_STEPS").unwrap_or(STEPS as u64)).unwrap();
    let tried = TestRunner::new(config)
        .run(&steps::life(most), |life| live(choice, listener, &life).map_err(TestCaseError::fail));
    let name = format!("CONTRACT_OF={} MODEL_SEED={seed} ({listener})", choice.entry.name);
    match tried {
        Ok(()) => eprintln!("{name}: {:.1} s", begun.elapsed().as_secs_f32()),
        Err(TestError::Fail(reason, life)) => panic!("{name}: {reason}\nin the life {life:?}"),
        Err(other) => panic!("{name}: {other}"),
    }
}

/// A life in progress.
struct Trial<'a> {
    choice: &'a Choice,
    instance: Instance,
    reference: Reference,
}

fn live(choice: &Choice, listener: &str, life: &Life) -> Result<(), String> {
    let mut trial = Trial {
        choice,
        instance: Instance::start(choice, listener),
        reference: Reference::new(choice, WORKERS),
    };
    trial.steps(life).and_then(|()| trial.end(life.end)).map_err(|reason| {
        let seen = trial.instance.see();
        format!("{reason}\n{seen:?}\n{}", trial.instance.log())
    })
}

impl Trial<'_> {
    fn steps(&mut self, life: &Life) -> Result<(), String> {
        self.settle()?;
        for &(action, then) in &life.steps {
            self.act(action);
            let seen = self.instance.see();
            self.reference.always(&seen)?;
            let checked = match then {
                Then::Settle => self.settle(),
                Then::After(us) => {
                    std::thread::sleep(Duration::from_micros(us));
                    Ok(())
                }
            };
            checked.map_err(|reason| format!("after {action:?}: {reason}"))?;
        }
        self.settle()
    }

    fn act(&mut self, action: Action) {
        let seen = self.instance.see();
        let Self { instance, reference, .. } = self;
        match action {
            Action::Reload(workers) => {
                reference.reload(workers, &seen);
                instance.reload(Some(workers));
            }
            Action::BadReload => {
                reference.bad_reload(&seen);
                instance.reload(None);
            }
            Action::Kill(which) => {
                instance.choose(which, false).into_iter().for_each(|pid| instance.kill(pid, false));
            }
            Action::StopAndKill(which) => {
                instance.choose(which, false).into_iter().for_each(|pid| instance.kill(pid, true));
            }
            Action::KillDispatcher(which) => {
                instance.choose(which, true).into_iter().for_each(|pid| instance.kill(pid, false));
            }
            Action::Stop(which) => {
                instance.choose(which, false).into_iter().for_each(|pid| instance.stop(pid));
            }
            Action::GoOn => instance.go_on(),
            Action::Rotate => instance.rotate(),
            Action::Requests(count) => instance.account.send(count),
            Action::Half => instance.account.send_half(),
            Action::OtherHalves => instance.account.send_other_halves(),
        }
    }

    /// Waits until the instance agrees with the model, then for every response.
    fn settle(&mut self) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        let seen = loop {
            let seen = self.instance.see();
            self.reference.always(&seen)?;
            match self.reference.settled(&seen).and_then(|()| self.instance.has_reopened(&seen)) {
                Ok(()) => break seen,
                Err(reason) if Instant::now() > end => return Err(reason),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        self.reference.settle(&seen);
        if self.all_are_answered(&seen) {
            account::probe(self.instance.server.port(), 6 * self.reference.sockets() + 4)?;
            // Connections held by a stopped worker wait for it.
            let port = self.instance.server.port();
            if !seen.children.iter().any(|child| child.stopped && account::held_by(child.pid, port) > 0) {
                self.instance.account.finish()?;
                self.balance()?;
            }
        }
        Ok(())
    }

    /// Whether no connection may wait for a stopped worker: there is none, or the strategy promises another
    /// worker. Where the kernel accepts ahead for a worker, it does so for a moment after its death too.
    fn all_are_answered(&self, seen: &Seen) -> bool {
        let promises = self.choice.promises();
        if promises.crash == Loss::Accepted && self.instance.has_killed {
            return false;
        }
        let promised = matches!(promises.stopped, Wait::Nothing | Wait::UpToMs(_));
        !seen.children.iter().any(|child| child.stopped) || promised && seen.someone_accepts()
    }

    /// Whether no more is lost than killed processes held. A private queue disappears with its worker, and
    /// its length is unknown.
    fn balance(&self) -> Result<(), String> {
        let promises = self.choice.promises();
        let whole = promises.crash != Loss::Queue && promises.leave != Loss::Queue;
        if whole { self.instance.account.balance() } else { Ok(()) }
    }

    fn end(&mut self, end: End) -> Result<(), String> {
        let instance = &mut self.instance;
        let first = if matches!(end, End::Quit) { Signal::SIGQUIT } else { Signal::SIGTERM };
        instance.server.signal(first);
        match end {
            End::Stop => {
                instance.go_on();
                instance.account.send_other_halves();
            }
            End::StopTwice(us) => {
                std::thread::sleep(Duration::from_micros(us));
                instance.server.signal(Signal::SIGTERM);
            }
            End::Quit => {}
        }
        let (code, stderr) = instance.server.wait();
        if code != Some(0) {
            return Err(format!("it ended with {code:?}: {stderr}"));
        }
        if matches!(end, End::Stop) {
            instance.account.finish()?;
            self.balance()?;
        }
        self.nothing_is_left()
    }

    fn nothing_is_left(&self) -> Result<(), String> {
        let log = self.instance.log();
        if log.contains("panicked") || log.contains("Exited(101)") {
            return Err("a process has panicked".into());
        }
        let end = Instant::now() + PATIENCE;
        while !self.instance.survivors().is_empty() {
            if Instant::now() > end {
                return Err(format!("{:?} have outlived the instance", self.instance.survivors()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}
