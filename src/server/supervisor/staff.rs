//! The workers, and the processes that serve them, as the supervisor knows them: hired, watched, replaced.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Generation, Phase, Supervisor};
use crate::listener::Strategy;
use crate::scoreboard::{Role, State};
use crate::server::worker::{self, Post};
use crate::sys::fork::{self, Fate};
use crate::sys::process::fork_single_threaded;
use crate::sys::proctable::{self, Process};

/// A worker that lives shorter than this "keeps dying".
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The first pause before a worker that keeps dying is replaced; it doubles...
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// ...up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the process in a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// A worker.
    Worker,
    /// It serves the strategy beside the workers; the strategy calls it so.
    Auxiliary(&'static str),
}

/// A place for a process, with or without one in it.
#[derive(Debug)]
pub(super) struct Member {
    /// Row in the scoreboard.
    pub slot: usize,
    /// A worker's number within the generation.
    pub number: usize,
    pub duty: Duty,
    pub generation: u64,
    pub pid: Option<Pid>,
    /// It has reported that it accepts.
    pub ready: bool,
    /// It was stopped (SIGSTOP).
    pub stopped: bool,
    /// It is to leave, and is not replaced.
    pub retiring: bool,
    /// It was told so.
    pub told: bool,
    started: Instant,
    /// Deaths in a row shortly after the start.
    short_lives: u32,
    /// When the place is to be filled again.
    pub due: Option<Instant>,
}

impl Member {
    fn new(slot: usize, number: usize, duty: Duty, generation: u64) -> Self {
        let now = Instant::now();
        Self {
            slot,
            number,
            duty,
            generation,
            pid: None,
            ready: false,
            stopped: false,
            retiring: false,
            told: false,
            started: now,
            short_lives: 0,
            due: Some(now),
        }
    }

    pub fn is_worker(&self) -> bool {
        self.duty == Duty::Worker
    }

    /// What it is called in the log.
    pub fn title(&self) -> String {
        match self.duty {
            Duty::Worker => format!("worker {}", self.number),
            Duty::Auxiliary(name) => name.to_owned(),
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
    /// Makes a place for each worker of a generation, and for the process that serves its strategy, if it has one;
    /// [`restore`](Self::restore) fills them.
    pub(super) fn take_places(&mut self, generation: &mut Generation) -> Result<(), String> {
        let workers = generation.settings.workers;
        let auxiliary = generation.settings.listener.entry.auxiliary;
        let needed = workers + usize::from(auxiliary.is_some());
        let mut taken = vec![false; self.board.rows()];
        self.staff.iter().for_each(|member| taken[member.slot] = true);
        let mut free: Vec<usize> = (0..taken.len()).filter(|&slot| !taken[slot]).take(needed).collect();
        if free.len() < needed {
            let rows = self.board.rows();
            return Err(format!(
                "the scoreboard has {rows} rows, {} are free and {needed} are needed; wait until earlier workers have \
                 finished, or stop the instance and start it again",
                free.len()
            ));
        }
        if let Some((name, slot)) = auxiliary.zip(free.get(workers).copied()) {
            self.take_place(Member::new(slot, 0, Duty::Auxiliary(name), generation.number));
        }
        free.truncate(workers);
        for (number, &slot) in free.iter().enumerate() {
            self.take_place(Member::new(slot, number, Duty::Worker, generation.number));
        }
        generation.slots = free;
        Ok(())
    }

    fn take_place(&mut self, member: Member) {
        self.board.clear(member.slot);
        let role = if member.is_worker() { Role::Worker } else { Role::Auxiliary };
        self.board.row(member.slot).role.store(role as u64, Relaxed);
        self.board.header().slots.fetch_max(member.slot as u64 + 1, Relaxed);
        self.staff.push(member);
    }

    /// Something happened to a worker.
    pub(super) fn fared(&mut self, index: usize, fate: Fate) {
        let member = &mut self.staff[index];
        let (title, pid) = (member.title(), member.pid.map_or(0, Pid::as_raw));
        match fate {
            Fate::Continued => {
                member.stopped = false;
                tracing::info!("{title} (pid {pid}) goes on");
                return self.strategy_of(index, |strategy, worker| strategy.back(worker));
            }
            Fate::Stopped => {
                member.stopped = true;
                tracing::warn!("{title} (pid {pid}) was stopped by a signal");
                self.stand_in(index);
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
    pub(super) fn pass_on(&self, index: usize) {
        self.strategy_of(index, |strategy, worker| strategy.gone(worker));
    }

    /// Tells a worker's strategy about it.
    fn strategy_of(&self, index: usize, tell: impl Fn(&dyn Strategy, usize)) {
        let member = &self.staff[index];
        let mut generations = self.generations.iter();
        if let Some(generation) = generations.find(|generation| generation.number == member.generation)
            && member.is_worker()
        {
            tell(&*generation.strategy, member.number);
        }
    }

    /// All workers wait for the one that serves their strategy. Where it was stopped, another takes its place at once; should
    /// it ever go on, it finishes what it has in hand and ends.
    fn stand_in(&mut self, index: usize) {
        let member = &mut self.staff[index];
        let (duty, generation) = (member.duty, member.generation);
        if member.is_worker() || member.retiring || self.phase != Phase::Running {
            return;
        }
        let taken = |slot: usize| self.staff.iter().any(|member| member.slot == slot);
        let Some(slot) = (0..self.board.rows()).find(|&slot| !taken(slot)) else { return };
        self.staff[index].retiring = true;
        self.board.header().respawns.fetch_add(1, SeqCst);
        self.take_place(Member::new(slot, 0, duty, generation));
    }

    fn buried(&mut self, index: usize, fate: Fate) {
        let member = &mut self.staff[index];
        let (title, pid) = (member.title(), member.pid.take().map_or(0, Pid::as_raw));
        (member.ready, member.stopped) = (false, false);
        let row = self.board.row(member.slot);
        row.pid.store(0, Relaxed);
        row.state.store(State::Empty as u64, Relaxed);
        // What it counted as its own is nobody's now: its handlers go on uncounted.
        row.open.store(0, Relaxed);
        row.running.store(0, SeqCst);
        let expected = member.retiring || self.phase != Phase::Running;
        match fate {
            Fate::Exited(0) if expected => tracing::debug!("{title} (pid {pid}) has finished"),
            Fate::Killed(signal) => {
                tracing::error!("{title} (pid {pid}) was killed by signal {signal}")
            }
            _ => tracing::error!("{title} (pid {pid}) ended: {fate:?}"),
        }
        let pause = if expected { Duration::ZERO } else { member.pause() };
        if !pause.is_zero() {
            tracing::error!(
                "{title} keeps dying within a second of its start; next try in {} ms",
                pause.as_millis()
            );
        }
        member.due = Some(Instant::now() + pause);
    }

    /// Fills every place that is due. What cannot be filled now is tried again.
    ///
    /// # Errors
    /// It cannot be filled, and the instance was never ready: whoever starts it waits to hear of that.
    pub(super) fn restore(&mut self) -> Result<(), String> {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Ok(());
        }
        let now = Instant::now();
        let due: Vec<usize> = (0..self.staff.len())
            .filter(|&index| self.staff[index].due.is_some_and(|due| due <= now))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        let mut filled = Ok(());
        let lent = self.with_sockets(|supervisor, sockets| {
            filled = due.iter().try_for_each(|&index| supervisor.spawn(index, sockets));
        });
        if let Err(reason) = lent.and(filled) {
            if self.ready.is_some() {
                return Err(reason);
            }
            let pause = FIRST_PAUSE.as_millis();
            tracing::error!("{reason}; next try in {pause} ms");
            for index in due {
                let member = &mut self.staff[index];
                member.due = member.due.map(|_| now + FIRST_PAUSE);
            }
        }
        Ok(())
    }

    fn spawn(&mut self, index: usize, sockets: &mut Vec<OwnedFd>) -> Result<(), String> {
        let member = &self.staff[index];
        let (slot, again) =
            (member.slot, member.short_lives > 0 || self.board.row(member.slot).accepted.load(Relaxed) > 0);
        self.board.row(slot).state.store(State::Starting as u64, Relaxed);
        let supervisor = nix::unistd::getpid();
        match fork_single_threaded() {
            Ok(None) => self.become_member(index, supervisor, std::mem::take(sockets)),
            Ok(Some(pid)) => {
                let member = &mut self.staff[index];
                (member.pid, member.started, member.due) = (Some(pid), Instant::now(), None);
                self.sessions.insert(pid);
                if again {
                    self.board.header().respawns.fetch_add(1, SeqCst);
                }
                tracing::debug!("{} has pid {pid}", member.title());
                Ok(())
            }
            Err(error) => Err(format!("cannot fork {}: {error}", self.staff[index].title())),
        }
    }

    /// The child's side of [`spawn`](Self::spawn).
    fn become_member(&mut self, index: usize, supervisor: Pid, sockets: Vec<OwnedFd>) -> ! {
        let member = &self.staff[index];
        let (slot, number, duty, generation) = (member.slot, member.number, member.duty, member.generation);
        self.own = None;
        self.claim.close_in_child();
        self.ready.iter().for_each(|ready| ready.close_in_child());
        let Some((mut reports, stderr)) = self.workers_ends.take() else {
            fork::exit_now(worker::EXIT_FATAL)
        };
        let set_up = fork::begin_session()
            .and_then(|()| fork::die_with(supervisor))
            .and_then(|()| crate::sys::process::standard_streams_to_null())
            .and_then(|()| Ok(nix::unistd::dup2_stderr(&stderr)?));
        drop(stderr);
        let Some(Generation { settings, strategy, slots, .. }) = self
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
            slots: slots.clone(),
            sockets,
            log_path: self.claim.folder().log(),
            nofile: self.nofile,
            leaves_queue: self.given,
        };
        let pid = std::process::id();
        let report = move |started: Result<(), String>| {
            let line = match started {
                Ok(()) => format!("ready {pid}\n"),
                Err(reason) => format!("failed {pid} {}\n", reason.replace('\n', " ")),
            };
            let _ = reports.write_all(line.as_bytes());
        };
        match duty {
            Duty::Worker => worker::run(post, report),
            Duty::Auxiliary(_) => worker::auxiliary::run(post, report),
        }
    }

    /// Ends every worker, and at once all that their handlers are: those of workers that died are there as well. What has
    /// left for a session of its own is nobody's handler any more.
    pub(super) fn kill_all(&mut self) {
        self.staff.iter().for_each(|member| member.signal(Signal::SIGKILL));
        let (own, sessions) = (nix::unistd::getpid(), &self.sessions);
        let ours = |one: &Process, all: &[Process]| {
            sessions.contains(&one.session) && proctable::descends(one, own, all)
        };
        if let Err(error) = proctable::kill_all(ours) {
            tracing::error!("cannot kill all handlers: {error}");
        }
        self.staff.retain(|member| member.pid.is_some());
    }

    /// Generations without workers are history.
    fn forget_generations(&mut self) {
        let (staff, current) = (&self.staff, self.current);
        self.generations.retain(|generation| {
            generation.number >= current || staff.iter().any(|member| member.generation == generation.number)
        });
    }

    /// Lets a generation begin that has its places.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub(super) fn begin(&mut self, generation: Generation) -> Result<(), String> {
        tracing::debug!(
            "generation {} begins with {} workers",
            generation.number,
            generation.settings.workers
        );
        self.generations.push(generation);
        self.restore()
    }

    /// Makes a generation from settings.
    pub(super) fn new_generation(
        number: u64,
        settings: Rc<crate::server::config::Settings>,
    ) -> Result<Generation, String> {
        let strategy = settings.listener.open(settings.workers).map_err(|error| {
            format!("listener strategy {} cannot be used here: {error}", settings.listener)
        })?;
        Ok(Generation { number, settings, strategy: strategy.into(), slots: Vec::new() })
    }
}
