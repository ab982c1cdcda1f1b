//! Injects faults at given times, one after the other: kills, terminates, stops or occupies one worker; replaces all workers
//! by as many, fewer or more; or stops the server.
//!
//! Workers are struck in turn ([`Turns`]). A thread of its own injects, and leaves no worker stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::background::{Background, RunEnd};
use super::http::ask;
use super::processes::is_stopped;
use super::turns::{Turn, Turns};
use super::workers::{Workers, open_connections};
use crate::lab::results::data::FaultRecord;
use crate::lab::spec::{Fault, FaultKind};
use crate::sys::pidfd::Pidfd;

/// Time that a stalled worker may take beyond the requested time.
const STALL_SLACK: Duration = Duration::from_secs(30);

/// Time for a stopped worker to stand still.
const STANDSTILL: Duration = Duration::from_millis(50);

/// Time for successors to start after the run.
const SUCCESSION: Duration = Duration::from_secs(3);

/// Interval of looking for successors.
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub struct Target {
    pub supervisor: u32,
    pub workers: Workers,
    pub address: SocketAddr,
    /// The configuration file with the number of workers.
    pub config: PathBuf,
    pub count: usize,
}

#[derive(Debug)]
pub struct FaultInjector {
    thread: Background<Vec<FaultRecord>>,
    ends_server: Arc<AtomicBool>,
}

impl FaultInjector {
    /// The measurement begins at `begin`; `choice` selects the first worker.
    pub fn start(faults: Vec<Fault>, target: Target, choice: u64, begin: Instant) -> io::Result<Self> {
        let ends_server = Arc::new(AtomicBool::new(false));
        let turns = Turns::new(&target.workers.now(), choice);
        let mut injection =
            Injection { target, turns, begin, resized: false, ends_server: ends_server.clone() };
        let inject =
            move |end: &RunEnd| faults.into_iter().map_while(|fault| injection.inject(fault, end)).collect();
        Ok(Self { thread: Background::start("faults", inject)?, ends_server })
    }

    /// Whether the server was told to stop, so that its end is expected.
    pub fn ends_server(&self) -> bool {
        self.ends_server.load(Relaxed)
    }

    /// Ends the fault that lasts, waits a moment for successors, and returns the faults that were injected.
    pub fn finish(self) -> Vec<FaultRecord> {
        self.thread.finish().unwrap_or_default()
    }
}

/// What the thread knows.
#[derive(Debug)]
struct Injection {
    target: Target,
    turns: Turns,
    begin: Instant,
    resized: bool,
    ends_server: Arc<AtomicBool>,
}

/// Why a fault did not happen, or not as it should.
type Struck<T = ()> = Result<T, String>;

impl Injection {
    /// Waits for its time, injects it and waits until it is over. `None` if the run ends before its time.
    fn inject(&mut self, fault: Fault, end: &RunEnd) -> Option<FaultRecord> {
        loop {
            match self.time_left(fault) {
                Duration::ZERO => break,
                left if end.is_later_than(left) => {}
                _ => return None,
            }
        }
        let (kind, at_s) = (fault.kind.name().to_owned(), self.at_s(Instant::now()));
        let mut done = FaultRecord { kind, at_s, ..FaultRecord::default() };
        let lasts = Duration::from_millis(fault.lasts_ms);
        let struck = match fault.kind {
            FaultKind::Kill => self.kill(&mut done, end),
            FaultKind::Exit => self.exit(&mut done, end),
            FaultKind::Stop => self.stop(lasts, &mut done, end),
            FaultKind::Stall => self.stall(lasts, &mut done),
            FaultKind::Reload | FaultKind::Shrink | FaultKind::Grow => {
                self.reload(fault.kind, &mut done, end)
            }
            FaultKind::End => self.end_server(&mut done, end),
        };
        if let Err(why) = struck {
            done.note = why;
        }
        Some(done)
    }

    /// Until the fault is due and the worker whose turn it is has rested.
    fn time_left(&mut self, fault: Fault) -> Duration {
        let due = self.begin + Duration::from_millis(fault.at_ms);
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return left;
        }
        // Which worker a request occupies is not known beforehand.
        self.turn(fault.kind.strikes_all() || fault.kind == FaultKind::Stall).map_or(left, |turn| turn.rest)
    }

    /// The worker whose turn it is, for a fault that strikes any or all of them or one; `None` if no worker is found.
    fn turn(&mut self, all: bool) -> Option<Turn> {
        self.turns.next(&self.target.workers.now(), all, Instant::now())
    }

    /// Seconds since the measurement began; negative before.
    fn at_s(&self, now: Instant) -> f64 {
        let before = self.begin.saturating_duration_since(now).as_secs_f64();
        now.saturating_duration_since(self.begin).as_secs_f64() - before
    }

    fn kill(&mut self, done: &mut FaultRecord, end: &RunEnd) -> Struck {
        // It is stopped first, to count its connections.
        let process = self.halt(done)?;
        let at_s = self.at_s(Instant::now());
        send(&process, Signal::SIGKILL)?;
        done.at_s = at_s;
        self.await_successor(done, end);
        Ok(())
    }

    fn exit(&mut self, done: &mut FaultRecord, end: &RunEnd) -> Struck {
        self.signal_worker(Signal::SIGTERM, done)?;
        self.await_successor(done, end);
        Ok(())
    }

    fn stop(&mut self, lasts: Duration, done: &mut FaultRecord, end: &RunEnd) -> Struck {
        let process = self.halt(done)?;
        end.is_later_than(lasts);
        done.until_s = Some(self.at_s(Instant::now()));
        send(&process, Signal::SIGCONT)
    }

    /// Stops the worker whose turn it is and counts its connections.
    fn halt(&mut self, done: &mut FaultRecord) -> Struck<Pidfd> {
        let process = self.signal_worker(Signal::SIGSTOP, done)?;
        let pid = u32::try_from(done.pid).unwrap_or_default();
        let deadline = Instant::now() + STANDSTILL;
        while !is_stopped(pid) && Instant::now() < deadline {
            std::thread::yield_now();
        }
        if let Some(held) = open_connections(pid, self.target.address) {
            done.held = Some((held.answering.len() + held.untouched.len()) as u64);
            (done.answering, done.untouched) = (held.answering, held.untouched);
        }
        Ok(process)
    }

    fn signal_worker(&mut self, signal: Signal, done: &mut FaultRecord) -> Struck<Pidfd> {
        let Turn { worker, pid, .. } = self.turn(false).ok_or("no worker was found")?;
        self.turns.struck(pid, Instant::now());
        // With an open pidfd the number cannot be reused: it still belongs to the worker, or the worker had ended.
        let process = Pidfd::open(pid).ok().filter(|_| self.target.workers.now().contains(&(worker, pid)));
        let process = process.ok_or("the chosen worker had just ended")?;
        let at_s = self.at_s(Instant::now());
        send(&process, signal)?;
        (done.worker, done.pid, done.at_s) = (worker, pid.into(), at_s);
        Ok(process)
    }

    fn signal_server(&self, signal: Signal, done: &mut FaultRecord) -> Struck<Pidfd> {
        (done.pid, done.at_s) = (self.target.supervisor.into(), self.at_s(Instant::now()));
        let process = Pidfd::open(self.target.supervisor).map_err(|error| unsent(signal, &error))?;
        send(&process, signal)?;
        Ok(process)
    }

    /// Reloads the server, with another number of workers if the fault asks for it.
    fn reload(&mut self, kind: FaultKind, done: &mut FaultRecord, end: &RunEnd) -> Struck {
        let Target { count, config: path, .. } = &self.target;
        let resizes = matches!(kind, FaultKind::Shrink | FaultKind::Grow);
        self.resized = resizes && !self.resized;
        let wanted = if self.resized { kind.workers_after(*count) } else { *count };
        if resizes {
            let unwritten = |error: io::Error| format!("{} could not be written: {error}", path.display());
            std::fs::write(path, config(wanted)).map_err(unwritten)?;
        }
        let before = self.target.workers.now();
        let is_new = |(_, pid): &(u64, u32)| before.iter().all(|(_, old)| old != pid);
        self.signal_server(Signal::SIGHUP, done)?;
        let replaced = self.look(end, |workers| {
            (!workers.is_empty() && workers.iter().all(is_new)).then_some(workers.len())
        });
        if let Some((now, at_s)) = replaced {
            self.turn(true);
            done.until_s = Some(at_s);
            let other = if now == self.target.count { String::new() } else { format!(", now {now}") };
            done.note = format!("all workers replaced within {:.0} ms{other}", (at_s - done.at_s) * 1e3);
        }
        Ok(())
    }

    fn end_server(&mut self, done: &mut FaultRecord, end: &RunEnd) -> Struck {
        self.ends_server.store(true, Relaxed);
        let server = self.signal_server(Signal::SIGTERM, done)?;
        if let Some((_, at_s)) = self.look(end, |_| server.wait(0).unwrap_or(false).then_some(())) {
            done.until_s = Some(at_s);
            done.note = format!("ended within {:.0} ms", (at_s - done.at_s) * 1e3);
        }
        Ok(())
    }

    fn await_successor(&mut self, done: &mut FaultRecord, end: &RunEnd) {
        let is_other = |pid: u32| u64::from(pid) != done.pid;
        let found = self.look(end, |workers| {
            let successor = match self.target.workers {
                Workers::Board(_) => {
                    workers.iter().find(|(worker, pid)| *worker == done.worker && is_other(*pid))
                }
                Workers::ChildrenOf { count, .. } => {
                    let all = workers.len() == count && workers.iter().all(|(_, pid)| is_other(*pid));
                    workers.last().filter(|_| all)
                }
            };
            successor.map(|(_, pid)| *pid)
        });
        if let Some((pid, at_s)) = found {
            self.turn(false);
            done.note = format!("replaced by process {pid} within {:.0} ms", (at_s - done.at_s) * 1e3);
        }
    }

    /// Looks at the workers again and again, until something is found or the run has ended a moment ago. What is found, and
    /// when, in seconds since the measurement began.
    fn look<T>(&self, end: &RunEnd, found: impl Fn(&[(u64, u32)]) -> Option<T>) -> Option<(T, f64)> {
        let mut deadline = None;
        loop {
            let at_s = self.at_s(Instant::now());
            if let Some(found) = found(&self.target.workers.now()) {
                return Some((found, at_s));
            }
            if end.is_later_than(POLL) {
                continue;
            }
            if Instant::now() >= *deadline.get_or_insert_with(|| Instant::now() + SUCCESSION) {
                return None;
            }
            sleep(POLL);
        }
    }

    /// Sends the request that occupies a worker, and waits for the response like a client.
    fn stall(&mut self, lasts: Duration, done: &mut FaultRecord) -> Struck {
        let target = format!("/?occupy={}ms", lasts.as_millis());
        let answer = ask(self.target.address, &target, lasts + STALL_SLACK);
        let ended = Instant::now();
        let answer = answer.map_err(|error| format!("the request failed: {error}"))?;
        if answer.status != 200 {
            return Err(format!("the request was answered with {}", answer.status));
        }
        done.until_s = Some(self.at_s(ended));
        done.worker = answer.worker.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default();
        let workers = self.target.workers.now();
        let pid = workers.iter().find(|(worker, _)| *worker == done.worker).map(|(_, pid)| *pid);
        done.pid = pid.unwrap_or_default().into();
        if let (Some(pid), Some(began)) = (pid, ended.checked_sub(lasts)) {
            self.turns.struck(pid, began);
        }
        Ok(())
    }
}

fn send(process: &Pidfd, signal: Signal) -> Struck {
    process.signal(signal).map_err(|error| unsent(signal, &error))
}

fn unsent(signal: Signal, error: &io::Error) -> String {
    format!("{signal} could not be sent: {error}")
}

pub fn config(workers: usize) -> String {
    format!("workers = {workers}\n")
}

#[cfg(test)]
#[path = "fault_injector_tests.rs"]
mod tests;
