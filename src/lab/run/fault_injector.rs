//! Injects faults at given times: kills, terminates, stops or occupies one worker; replaces all workers by as
//! many, fewer or more; or stops the server.
//!
//! Workers are struck in turn ([`Turns`]).
//! The wait for the load generator drives it; it never waits itself, and leaves no worker stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::http::{Answer, ask};
use super::turns::{Turn, Turns};
use super::workers::{Workers, is_stopped, open_connections};
use crate::lab::results::data::FaultRecord;
use crate::lab::spec::{Fault, FaultKind};
use crate::sys::pidfd::Pidfd;

/// Time that a stalled worker may take beyond the requested time.
const STALL_SLACK: Duration = Duration::from_secs(30);

/// Time for a stopped worker to stand still.
const STANDSTILL: Duration = Duration::from_millis(50);

/// Time for successors to start after the run.
const SUCCESSION: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub struct Target {
    pub supervisor: u32,
    pub workers: Workers,
    pub address: SocketAddr,
    /// The configuration file with the number of workers.
    pub config: PathBuf,
    pub count: usize,
}

/// The response to the request that stalls a worker, and when it came.
type Reply = (std::io::Result<Answer>, Instant);

/// Interval of looking for successors and for the end of a stall.
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum State {
    Waiting,
    /// Killed or terminated; waiting for a successor.
    Ending,
    /// Waiting for the replacement of these workers.
    Reloading(Vec<u32>),
    Leaving(Pidfd),
    Stopped {
        process: Pidfd,
        until: Instant,
    },
    Stalled(Receiver<Reply>),
    Over,
}

#[derive(Debug)]
pub struct FaultInjector {
    fault: Fault,
    target: Target,
    turns: Turns,
    begin: Instant,
    resized: bool,
    state: State,
    /// Whether the fault has been injected; `done` is its record.
    injected: bool,
    done: FaultRecord,
}

impl FaultInjector {
    /// The measurement begins at `begin`; `choice` selects the first worker.
    pub fn new(fault: Fault, target: Target, choice: u64, begin: Instant) -> Self {
        let turns = Turns::new(&target.workers.now(), choice);
        let (state, done) = (State::Waiting, FaultRecord::default());
        Self { fault, target, turns, begin, resized: false, state, injected: false, done }
    }

    /// Whether the server was told to stop, so that its end is expected.
    pub fn ends_server(&self) -> bool {
        self.fault.kind == FaultKind::End && self.injected
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Starts the next fault and returns the record of the last one.
    pub fn again(&mut self, fault: Fault) -> Option<FaultRecord> {
        (self.fault, self.state) = (fault, State::Waiting);
        self.record()
    }

    fn record(&mut self) -> Option<FaultRecord> {
        std::mem::take(&mut self.injected).then(|| std::mem::take(&mut self.done))
    }

    /// Does what is due, and returns the time until the next action.
    pub fn advance(&mut self) -> Duration {
        let due = self.begin + Duration::from_millis(self.fault.at_ms);
        let idle = Duration::from_secs(3600);
        match &mut self.state {
            State::Waiting => {
                let left = due.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return left;
                }
                let rest = self.turn().map_or(Duration::ZERO, |turn| turn.rest);
                if !rest.is_zero() {
                    return rest;
                }
                self.inject();
            }
            State::Ending => self.check_successor(),
            State::Reloading(before) => {
                let before = std::mem::take(before);
                self.check_generation(before);
            }
            State::Leaving(server) => {
                if server.wait(0).unwrap_or(false) {
                    self.server_ended();
                }
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
        POLL
    }

    pub fn finish(mut self) -> Option<FaultRecord> {
        self.resume();
        let deadline = Instant::now() + SUCCESSION;
        while matches!(self.state, State::Ending | State::Reloading(_) | State::Leaving(_))
            && Instant::now() < deadline
        {
            sleep(self.advance());
        }
        if let State::Stalled(answer) = &self.state {
            // The response comes in the end, unless the server dies: wait for it like a client.
            let answer = answer.recv_timeout(Duration::from_millis(self.fault.lasts_ms) + STALL_SLACK);
            if let Ok(reply) = answer {
                self.stall_ended(&reply);
            }
        }
        self.record()
    }

    fn since_begin(&self) -> f64 {
        self.at(Instant::now())
    }

    /// Seconds since the measurement began; negative before.
    fn at(&self, now: Instant) -> f64 {
        let before = self.begin.saturating_duration_since(now).as_secs_f64();
        now.saturating_duration_since(self.begin).as_secs_f64() - before
    }

    /// The worker whose turn it is; `None` if no worker is found.
    fn turn(&mut self) -> Option<Turn> {
        // Which worker a request occupies is not known beforehand.
        let any = self.fault.kind.strikes_all() || self.fault.kind == FaultKind::Stall;
        self.turns.next(&self.target.workers.now(), any, Instant::now())
    }

    fn inject(&mut self) {
        let kind = self.fault.kind.name().to_owned();
        self.done = FaultRecord { kind, at_s: self.since_begin(), ..FaultRecord::default() };
        self.injected = true;
        self.state = match self.fault.kind {
            FaultKind::Stall => self.stall(),
            FaultKind::Kill => self.kill().map_or(State::Over, |()| State::Ending),
            FaultKind::Exit => self.signal(Signal::SIGTERM).map_or(State::Over, |_| State::Ending),
            FaultKind::Reload | FaultKind::Shrink | FaultKind::Grow => self.reload(),
            FaultKind::End => self.signal_server(Signal::SIGTERM).map_or(State::Over, State::Leaving),
            FaultKind::Stop => self.stop().map_or(State::Over, |process| {
                let until = Instant::now() + Duration::from_millis(self.fault.lasts_ms);
                State::Stopped { process, until }
            }),
        };
    }

    fn signal(&mut self, signal: Signal) -> Option<Pidfd> {
        let Some(Turn { worker, pid, .. }) = self.turn() else {
            self.done.note = "no worker was found".into();
            return None;
        };
        self.turns.struck(pid, Instant::now());
        let process = match Pidfd::open(pid) {
            // The pidfd is open, so the number cannot be reused: it still belongs to the worker, or the
            // worker had ended.
            Ok(process) if self.target.workers.now().contains(&(worker, pid)) => process,
            _ => {
                self.done.note = "the chosen worker had just ended".into();
                return None;
            }
        };
        let at_s = self.since_begin();
        if let Err(error) = process.signal(signal) {
            self.done.note = format!("{signal} could not be sent: {error}");
            return None;
        }
        (self.done.worker, self.done.pid, self.done.at_s) = (worker, pid.into(), at_s);
        Some(process)
    }

    /// Stops the selected worker and counts its connections.
    fn stop(&mut self) -> Option<Pidfd> {
        let process = self.signal(Signal::SIGSTOP)?;
        let pid = u32::try_from(self.done.pid).ok()?;
        let deadline = Instant::now() + STANDSTILL;
        while !is_stopped(pid) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        if let Some(held) = open_connections(pid, self.target.address) {
            self.done.held = Some((held.answering.len() + held.untouched.len()) as u64);
            (self.done.answering, self.done.untouched) = (held.answering, held.untouched);
        }
        Some(process)
    }

    /// Kills the selected worker. It is stopped first, to count its connections.
    fn kill(&mut self) -> Option<()> {
        let process = self.stop()?;
        let at_s = self.since_begin();
        if let Err(error) = process.signal(Signal::SIGKILL) {
            self.done.note = format!("SIGKILL could not be sent: {error}");
            return None;
        }
        self.done.at_s = at_s;
        Some(())
    }

    fn signal_server(&mut self, signal: Signal) -> Option<Pidfd> {
        let at_s = self.since_begin();
        let sent =
            Pidfd::open(self.target.supervisor).and_then(|process| process.signal(signal).map(|()| process));
        (self.done.pid, self.done.at_s) = (self.target.supervisor.into(), at_s);
        sent.map_err(|error| self.done.note = format!("{signal} could not be sent: {error}")).ok()
    }

    /// Reloads the server, with another number of workers if the fault asks for it.
    fn reload(&mut self) -> State {
        let resizes = matches!(self.fault.kind, FaultKind::Shrink | FaultKind::Grow);
        self.resized = resizes && !self.resized;
        let wanted =
            if self.resized { self.fault.kind.workers_after(self.target.count) } else { self.target.count };
        if resizes && let Err(error) = std::fs::write(&self.target.config, config(wanted)) {
            self.done.note = format!("{} could not be written: {error}", self.target.config.display());
            return State::Over;
        }
        let before = self.target.workers.now().into_iter().map(|(_, pid)| pid).collect();
        self.signal_server(Signal::SIGHUP).map_or(State::Over, |_| State::Reloading(before))
    }

    fn server_ended(&mut self) {
        let now_s = self.since_begin();
        self.state = State::Over;
        self.done.until_s = Some(now_s);
        self.done.note = format!("ended within {:.0} ms", (now_s - self.done.at_s) * 1e3);
    }

    fn check_generation(&mut self, before: Vec<u32>) {
        let now_s = self.since_begin();
        let workers = self.target.workers.now();
        if workers.is_empty() || workers.iter().any(|(_, pid)| before.contains(pid)) {
            self.state = State::Reloading(before);
            return;
        }
        self.state = State::Over;
        self.turn();
        self.done.until_s = Some(now_s);
        let (after_ms, now) = ((now_s - self.done.at_s) * 1e3, workers.len());
        let other = if now == self.target.count { String::new() } else { format!(", now {now}") };
        self.done.note = format!("all workers replaced within {after_ms:.0} ms{other}");
    }

    fn check_successor(&mut self) {
        let now_s = self.since_begin();
        let done = &mut self.done;
        let workers = self.target.workers.now();
        let killed = u32::try_from(done.pid).unwrap_or(0);
        let successor = match self.target.workers {
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
            self.turn();
        }
    }

    fn resume(&mut self) {
        let now_s = self.since_begin();
        if let State::Stopped { process, .. } = &self.state {
            let resumed = process.signal(Signal::SIGCONT);
            self.done.until_s = Some(now_s);
            if let Err(error) = resumed {
                self.done.note = format!("SIGCONT could not be sent: {error}");
            }
            self.state = State::Over;
        }
    }

    /// Sends the request that occupies a worker, from a thread that waits for the response.
    fn stall(&mut self) -> State {
        let (send, receive) = channel();
        let lasts = Duration::from_millis(self.fault.lasts_ms);
        let (address, target) = (self.target.address, format!("/?occupy={}ms", self.fault.lasts_ms));
        let wait = move || {
            let answer = ask(address, &target, lasts + STALL_SLACK);
            drop(send.send((answer, Instant::now())));
        };
        match std::thread::Builder::new().name("stall".into()).spawn(wait) {
            Ok(_) => State::Stalled(receive),
            Err(error) => {
                self.done.note = format!("no request could be sent: {error}");
                State::Over
            }
        }
    }

    fn stall_ended(&mut self, (answer, ended): &Reply) {
        let ended_s = self.at(*ended);
        let workers = self.target.workers.now();
        self.state = State::Over;
        let lasted = Duration::from_millis(self.fault.lasts_ms);
        let done = &mut self.done;
        match answer {
            Ok(answer) if answer.status == 200 => {
                done.until_s = Some(ended_s);
                done.worker = answer.worker.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default();
                let pid = workers.iter().find(|(worker, _)| *worker == done.worker).map(|(_, pid)| *pid);
                done.pid = pid.unwrap_or_default().into();
                if let (Some(pid), Some(began)) = (pid, ended.checked_sub(lasted)) {
                    self.turns.struck(pid, began);
                }
            }
            Ok(answer) => done.note = format!("the request was answered with {}", answer.status),
            Err(error) => done.note = format!("the request failed: {error}"),
        }
    }
}

pub fn config(workers: usize) -> String {
    format!("workers = {workers}\n")
}

impl Drop for FaultInjector {
    fn drop(&mut self) {
        self.resume();
    }
}

#[cfg(test)]
#[path = "fault_injector_tests.rs"]
mod tests;
