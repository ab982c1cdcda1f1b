//! Faults at a time: one worker is killed, told to end, stopped for a while, or kept busy by one request; or all are
//! replaced.
//!
//! It is driven by the wait for the load generator, never waits itself, and leaves no worker stopped whatever happens.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::answer::{Answer, ask};
use super::data::FaultDone;
use super::spec::{Fault, FaultKind};
use crate::scoreboard::Scoreboard;
use crate::sys::process::Pidfd;

/// What a stalled worker may take beyond the time that it was asked to be busy.
const STALL_SLACK: Duration = Duration::from_secs(30);

/// How long is waited, when the run is over, for those that come in the place of workers that were told to end.
const SUCCESSION: Duration = Duration::from_secs(3);

/// Where the workers of a server are found.
#[derive(Debug)]
pub enum Workers {
    /// Ours: the scoreboard knows.
    Board(Scoreboard),
    /// Another server's: the children of its first process, the last ones that it started.
    ChildrenOf {
        /// The first process.
        pid: u32,
        /// How many are workers.
        count: usize,
    },
}

impl Workers {
    /// Numbers and process ids now, by number.
    pub fn now(&self) -> Vec<(u64, u32)> {
        match self {
            Self::Board(board) => {
                let rows = board.snapshot().into_iter();
                rows.filter_map(|row| Some((row.worker, u32::try_from(row.pid).ok()?)))
                    .filter(|(_, pid)| *pid != 0)
                    .collect()
            }
            Self::ChildrenOf { pid, count } => {
                let path = format!("/proc/{pid}/task/{pid}/children");
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let all: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                (0..).zip(all[all.len().saturating_sub(*count)..].iter().copied()).collect()
            }
        }
    }
}

/// What became of the request that stalls, and when.
type Reply = (std::io::Result<Answer>, Instant);

/// How often it is seen whether a killed worker has a successor, and whether a stall is over.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum State {
    Waiting,
    /// Killed or told to end; a successor is looked for.
    Ending,
    /// All are being replaced; these were there before.
    Reloading(Vec<u32>),
    Stopped {
        process: Pidfd,
        until: Instant,
    },
    /// A request is on its way.
    Stalled(Receiver<Reply>),
    Over,
}

/// One fault of one run.
#[derive(Debug)]
pub struct Trouble {
    fault: Fault,
    /// The server's first process.
    supervisor: u32,
    workers: Workers,
    address: SocketAddr,
    /// Which worker, modulo how many there are.
    choice: u64,
    begin: Instant,
    state: State,
    done: Option<FaultDone>,
}

impl Trouble {
    /// Prepares it. The measured time begins at `begin`; `choice` chooses the worker that is killed or stopped.
    pub fn new(
        fault: Fault,
        supervisor: u32,
        workers: Workers,
        address: SocketAddr,
        choice: u64,
        begin: Instant,
    ) -> Self {
        Self { fault, supervisor, workers, address, choice, begin, state: State::Waiting, done: None }
    }

    /// Does what is due, and returns how long nothing will be.
    pub fn advance(&mut self) -> Duration {
        let due = self.begin + Duration::from_millis(self.fault.at_ms);
        let idle = Duration::from_secs(3600);
        match &mut self.state {
            State::Waiting => {
                let left = due.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return left;
                }
                self.strike();
            }
            State::Ending => self.look_for_successor(),
            State::Reloading(before) => {
                let before = std::mem::take(before);
                self.look_for_generation(before);
            }
            State::Stopped { until, .. } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return left;
                }
                self.resume();
            }
            State::Stalled(answer) => match answer.try_recv() {
                Ok(reply) => self.stall_ended(&reply),
                Err(TryRecvError::Disconnected) => self.state = State::Over,
                Err(TryRecvError::Empty) => {}
            },
            State::Over => return idle,
        }
        LOOK
    }

    /// What was done, when the run is over. Nothing goes on after this.
    pub fn finish(mut self) -> Option<FaultDone> {
        self.resume();
        let deadline = Instant::now() + SUCCESSION;
        while matches!(self.state, State::Ending | State::Reloading(_)) && Instant::now() < deadline {
            sleep(self.advance());
        }
        if let State::Stalled(answer) = &self.state {
            // It is answered in the end, unless the server dies first: the run waits for that, as it would for a client.
            let answer = answer.recv_timeout(Duration::from_millis(self.fault.lasts_ms) + STALL_SLACK);
            if let Ok(reply) = answer {
                self.stall_ended(&reply);
            }
        }
        self.done.take()
    }

    fn since_begin(&self) -> f64 {
        self.at(Instant::now())
    }

    /// Seconds since the measured time began; negative before.
    fn at(&self, now: Instant) -> f64 {
        let before = self.begin.saturating_duration_since(now).as_secs_f64();
        now.saturating_duration_since(self.begin).as_secs_f64() - before
    }

    fn strike(&mut self) {
        let kind = self.fault.kind.name().to_owned();
        self.done = Some(FaultDone { kind, at_s: self.since_begin(), ..FaultDone::default() });
        self.state = match self.fault.kind {
            FaultKind::Stall => self.stall(),
            FaultKind::Kill => self.signal(Signal::SIGKILL).map_or(State::Over, |_| State::Ending),
            FaultKind::Exit => self.signal(Signal::SIGTERM).map_or(State::Over, |_| State::Ending),
            FaultKind::Reload => self.reload(),
            FaultKind::Stop => self.signal(Signal::SIGSTOP).map_or(State::Over, |process| {
                let until = Instant::now() + Duration::from_millis(self.fault.lasts_ms);
                State::Stopped { process, until }
            }),
        };
    }

    fn note(&mut self, text: &str) {
        if let Some(done) = &mut self.done {
            done.note = text.to_owned();
        }
    }

    /// Sends a signal to the chosen worker.
    fn signal(&mut self, signal: Signal) -> Option<Pidfd> {
        let workers = self.workers.now();
        let Some(chosen) = self.choice.checked_rem(workers.len() as u64) else {
            self.note("no worker was found");
            return None;
        };
        let (worker, pid) = workers[usize::try_from(chosen).unwrap_or(0)];
        let process = match Pidfd::open(pid) {
            // Held now, so that the number cannot become another's: it is still a worker's, or was not any more.
            Ok(process) if self.workers.now().contains(&(worker, pid)) => process,
            _ => {
                self.note("the chosen worker had just ended");
                return None;
            }
        };
        let at_s = self.since_begin();
        if let Err(error) = process.signal(signal) {
            self.note(&format!("{signal} could not be sent: {error}"));
            return None;
        }
        if let Some(done) = &mut self.done {
            (done.worker, done.pid, done.at_s) = (worker, pid.into(), at_s);
        }
        Some(process)
    }

    /// Has the server replace all workers.
    fn reload(&mut self) -> State {
        let before = self.workers.now().into_iter().map(|(_, pid)| pid).collect();
        let at_s = self.since_begin();
        let sent = Pidfd::open(self.supervisor).and_then(|process| process.signal(Signal::SIGHUP));
        if let Err(error) = sent {
            self.note(&format!("SIGHUP could not be sent: {error}"));
            return State::Over;
        }
        if let Some(done) = &mut self.done {
            (done.pid, done.at_s) = (self.supervisor.into(), at_s);
        }
        State::Reloading(before)
    }

    /// Whether none of the workers from before is left.
    fn look_for_generation(&mut self, before: Vec<u32>) {
        let now_s = self.since_begin();
        let workers = self.workers.now();
        if workers.is_empty() || workers.iter().any(|(_, pid)| before.contains(pid)) {
            self.state = State::Reloading(before);
            return;
        }
        self.state = State::Over;
        if let Some(done) = &mut self.done {
            done.until_s = Some(now_s);
            let after_ms = (now_s - done.at_s) * 1e3;
            done.note = format!("all workers replaced within {after_ms:.0} ms");
        }
    }

    fn look_for_successor(&mut self) {
        let now_s = self.since_begin();
        let Some(done) = &mut self.done else { return };
        let workers = self.workers.now();
        let killed = u32::try_from(done.pid).unwrap_or(0);
        let successor = match self.workers {
            Workers::Board(_) => {
                workers.iter().find(|(worker, pid)| *worker == done.worker && *pid != killed)
            }
            Workers::ChildrenOf { count, .. } => {
                workers.last().filter(|_| workers.len() == count && workers.iter().all(|w| w.1 != killed))
            }
        };
        if let Some((_, pid)) = successor {
            let after_ms = (now_s - done.at_s) * 1e3;
            done.note = format!("replaced by process {pid} within {after_ms:.0} ms");
            self.state = State::Over;
        }
    }

    /// Lets a stopped worker go on.
    fn resume(&mut self) {
        let now_s = self.since_begin();
        if let State::Stopped { process, .. } = &self.state {
            let resumed = process.signal(Signal::SIGCONT);
            if let Some(done) = &mut self.done {
                done.until_s = Some(now_s);
                if let Err(error) = resumed {
                    done.note = format!("SIGCONT could not be sent: {error}");
                }
            }
            self.state = State::Over;
        }
    }

    /// Sends the request that keeps a worker busy, from a thread that waits for the answer.
    fn stall(&mut self) -> State {
        let (send, receive) = channel();
        let lasts = Duration::from_millis(self.fault.lasts_ms);
        let (address, target) = (self.address, format!("/?occupy={}ms", self.fault.lasts_ms));
        let wait = move || {
            let answer = ask(address, &target, lasts + STALL_SLACK);
            drop(send.send((answer, Instant::now())));
        };
        match std::thread::Builder::new().name("stall".into()).spawn(wait) {
            Ok(_) => State::Stalled(receive),
            Err(error) => {
                self.note(&format!("no request could be sent: {error}"));
                State::Over
            }
        }
    }

    fn stall_ended(&mut self, (answer, ended): &Reply) {
        let ended_s = self.at(*ended);
        let workers = self.workers.now();
        self.state = State::Over;
        let Some(done) = &mut self.done else { return };
        match answer {
            Ok(answer) if answer.status == 200 => {
                done.until_s = Some(ended_s);
                done.worker = answer.worker.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default();
                let pid = workers.iter().find(|(worker, _)| *worker == done.worker).map(|(_, pid)| *pid);
                done.pid = pid.unwrap_or_default().into();
            }
            Ok(answer) => done.note = format!("the request was answered with {}", answer.status),
            Err(error) => done.note = format!("the request failed: {error}"),
        }
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.resume();
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
