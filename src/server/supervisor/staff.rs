//! The workers as the supervisor knows them: hired, watched, replaced.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::{Generation, Phase, Supervisor};
use crate::scoreboard::State;
use crate::server::worker::{self, Post};
use crate::sys::fork::{self, Fate};
use crate::sys::process::fork_single_threaded;

/// A worker that lives shorter than this "keeps dying".
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The first pause before a worker that keeps dying is replaced; it doubles...
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A worker's place, with or without a process in it.
#[derive(Debug)]
pub(super) struct Member {
    /// Row in the scoreboard.
    pub slot: usize,
    /// Number within the generation.
    pub number: usize,
    pub generation: u64,
    pub pid: Option<Pid>,
    /// It has reported that it accepts.
    pub ready: bool,
    /// It was stopped (SIGSTOP).
    pub stopped: bool,
    /// It was told to leave, and is not replaced.
    pub retiring: bool,
    started: Instant,
    /// Deaths in a row shortly after the start.
    short_lives: u32,
    /// When the place is to be filled again.
    pub due: Option<Instant>,
}

impl Member {
    fn new(slot: usize, number: usize, generation: u64) -> Self {
        let now = Instant::now();
        Self {
            slot,
            number,
            generation,
            pid: None,
            ready: false,
            stopped: false,
            retiring: false,
            started: now,
            short_lives: 0,
            due: Some(now),
        }
    }

    pub fn has_pid(&self, pid: i32) -> bool {
        self.pid == Some(Pid::from_raw(pid))
    }

    /// Sends a signal to the worker. It is our child and not yet reaped, so the pid is its own.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            let _ = kill(pid, signal);
        }
    }

    /// Kills the worker and all handlers in its process group.
    pub fn kill_group(&self) {
        if let Some(pid) = self.pid {
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = kill(pid, Signal::SIGKILL); // it may not have made its group yet
        }
    }

    /// Pause before the place is filled again, after a death at this moment.
    fn pause(&mut self) -> Duration {
        if self.started.elapsed() >= SHORT_LIFE {
            self.short_lives = 0;
            return Duration::ZERO;
        }
        self.short_lives += 1;
        if self.short_lives == 1 {
            return Duration::ZERO; // once is an accident
        }
        FIRST_PAUSE.saturating_mul(1 << (self.short_lives - 2).min(16)).min(LONGEST_PAUSE)
    }
}

impl Supervisor {
    /// Makes a place for each worker of a generation; [`restore`](Self::restore) fills them.
    pub(super) fn take_places(&mut self, generation: &Generation) -> Result<(), String> {
        let workers = generation.settings.workers;
        let mut taken = vec![false; self.board.rows()];
        self.staff.iter().for_each(|member| taken[member.slot] = true);
        let free: Vec<usize> = (0..taken.len()).filter(|&slot| !taken[slot]).take(workers).collect();
        if free.len() < workers {
            let rows = self.board.rows();
            return Err(format!(
                "the scoreboard has {rows} rows, {} are free and {workers} are needed; wait until earlier workers have \
                 finished, or stop the instance and start it again",
                free.len()
            ));
        }
        for (number, slot) in free.into_iter().enumerate() {
            self.board.clear(slot);
            self.board.header().slots.fetch_max(slot as u64 + 1, Relaxed);
            self.staff.push(Member::new(slot, number, generation.number));
        }
        Ok(())
    }

    /// Something happened to a worker.
    pub(super) fn fared(&mut self, index: usize, fate: Fate) {
        let member = &mut self.staff[index];
        let (number, pid) = (member.number, member.pid.map_or(0, Pid::as_raw));
        match fate {
            Fate::Continued => {
                member.stopped = false;
                return tracing::info!("worker {number} (pid {pid}) goes on");
            }
            Fate::Stopped => {
                member.stopped = true;
                tracing::warn!("worker {number} (pid {pid}) was stopped by a signal");
            }
            Fate::Exited(_) | Fate::Killed(_) => self.buried(index, fate),
        }
        self.pass_on(index);
        let member = &self.staff[index];
        if member.pid.is_none() && (member.retiring || matches!(self.phase, Phase::Stopping { .. })) {
            self.staff.remove(index);
            self.forget_generations();
        }
    }

    /// What a worker that is gone held is passed on to the others.
    fn pass_on(&self, index: usize) {
        let member = &self.staff[index];
        if let Some(generation) =
            self.generations.iter().find(|generation| generation.number == member.generation)
        {
            generation.strategy.gone(member.number);
        }
    }

    fn buried(&mut self, index: usize, fate: Fate) {
        let member = &mut self.staff[index];
        let (number, pid) = (member.number, member.pid.take().map_or(0, Pid::as_raw));
        (member.ready, member.stopped) = (false, false);
        let row = self.board.row(member.slot);
        row.pid.store(0, Relaxed);
        row.state.store(State::Empty as u64, Relaxed);
        // What it counted as its own is nobody's now: its handlers go on uncounted.
        row.open.store(0, Relaxed);
        row.running.store(0, SeqCst);
        let expected = member.retiring || self.phase != Phase::Running;
        match fate {
            Fate::Exited(0) if expected => tracing::debug!("worker {number} (pid {pid}) has finished"),
            Fate::Killed(signal) => {
                tracing::error!("worker {number} (pid {pid}) was killed by signal {signal}")
            }
            _ => tracing::error!("worker {number} (pid {pid}) ended: {fate:?}"),
        }
        let pause = if expected { Duration::ZERO } else { member.pause() };
        if !pause.is_zero() {
            tracing::error!(
                "worker {number} keeps dying within a second of its start; next try in {} ms",
                pause.as_millis()
            );
        }
        member.due = Some(Instant::now() + pause);
    }

    /// Fills every place that is due.
    pub(super) fn restore(&mut self) {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return;
        }
        let now = Instant::now();
        let due: Vec<usize> = (0..self.staff.len())
            .filter(|&index| self.staff[index].due.is_some_and(|due| due <= now))
            .collect();
        if due.is_empty() {
            return;
        }
        let lent = self.with_sockets(|supervisor, sockets| {
            for &index in &due {
                supervisor.spawn(index, sockets);
            }
        });
        if !lent {
            due.iter().for_each(|&index| self.staff[index].due = Some(now + FIRST_PAUSE));
        }
    }

    fn spawn(&mut self, index: usize, sockets: &mut Vec<OwnedFd>) {
        let member = &self.staff[index];
        let (slot, again) =
            (member.slot, member.short_lives > 0 || self.board.row(member.slot).accepted.load(Relaxed) > 0);
        self.board.row(slot).state.store(State::Starting as u64, Relaxed);
        let supervisor = nix::unistd::getpid();
        match fork_single_threaded() {
            Ok(None) => self.become_worker(index, supervisor, std::mem::take(sockets)),
            Ok(Some(pid)) => {
                let member = &mut self.staff[index];
                (member.pid, member.started, member.due) = (Some(pid), Instant::now(), None);
                if again {
                    self.board.header().respawns.fetch_add(1, SeqCst);
                }
                tracing::debug!("worker {} has pid {pid}", member.number);
            }
            Err(error) => {
                let member = &mut self.staff[index];
                member.due = Some(Instant::now() + FIRST_PAUSE);
                tracing::error!(
                    "cannot fork worker {}: {error}; next try in {} ms",
                    member.number,
                    FIRST_PAUSE.as_millis()
                );
            }
        }
    }

    /// The child's side of [`spawn`](Self::spawn).
    fn become_worker(&mut self, index: usize, supervisor: Pid, sockets: Vec<OwnedFd>) -> ! {
        let member = &self.staff[index];
        let (slot, number, generation) = (member.slot, member.number, member.generation);
        self.own = None;
        self.claim.close_in_child();
        self.ready.iter().for_each(|ready| ready.close_in_child());
        let Some((mut reports, stderr)) = self.workers_ends.take() else {
            fork::exit_now(worker::EXIT_FATAL)
        };
        let set_up = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))
            .map_err(std::io::Error::from)
            .and_then(|()| fork::die_with(supervisor))
            .and_then(|()| crate::sys::process::standard_streams_to_null())
            .and_then(|()| Ok(nix::unistd::dup2_stderr(&stderr)?));
        drop(stderr);
        let Some(Generation { settings, strategy, .. }) = self
            .generations
            .iter()
            .find(|candidate| candidate.number == generation)
            .filter(|_| set_up.is_ok())
        else {
            fork::exit_now(worker::EXIT_FATAL)
        };
        let post = Post {
            slot,
            number,
            generation,
            settings,
            board: self.board,
            strategy: &**strategy,
            sockets,
            log_path: self.claim.folder().log(),
            nofile: self.nofile,
        };
        let pid = std::process::id();
        worker::run(post, move |started| {
            let line = match started {
                Ok(()) => format!("ready {pid}\n"),
                Err(reason) => format!("failed {pid} {}\n", reason.replace('\n', " ")),
            };
            let _ = reports.write_all(line.as_bytes());
        })
    }

    /// Generations without workers are history.
    fn forget_generations(&mut self) {
        let (staff, current) = (&self.staff, self.current);
        self.generations.retain(|generation| {
            generation.number >= current || staff.iter().any(|member| member.generation == generation.number)
        });
    }

    /// Lets a generation begin that has its places.
    pub(super) fn begin(&mut self, generation: Generation) {
        tracing::debug!(
            "generation {} begins with {} workers",
            generation.number,
            generation.settings.workers
        );
        self.generations.push(generation);
        self.restore();
    }

    /// Makes a generation from settings.
    pub(super) fn new_generation(
        number: u64,
        settings: Rc<crate::server::config::Settings>,
    ) -> Result<Generation, String> {
        let strategy = settings.listener.open(settings.workers).map_err(|error| {
            format!("listener strategy {} cannot be used here: {error}", settings.listener)
        })?;
        Ok(Generation { number, settings, strategy: strategy.into() })
    }
}
