//! Forks members, watches them, and replaces them.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::member::{Duty, FIRST_PAUSE, Member};
use super::stderr::{self, Owner};
use super::{Phase, Supervisor};
use crate::listener::Strategy;
use crate::scoreboard::State;
use crate::server::error::EXIT_FATAL;
use crate::server::error::Error;
use crate::server::keeper;
use crate::server::worker::{self, WorkerContext};
use crate::sys::fork::{self, Fate};
use crate::sys::process::fork_single_threaded;

/// Added to the OOM score of workers and handlers, in thousandths of the memory: a worker can be replaced, the
/// supervisor cannot.
const OOM_POINTS: i32 = 100;
/// A generation is abandoned after this many deaths of a member before it was ready.
const HOPELESS: u32 = 5;

impl Supervisor {
    /// A member ended, was stopped or was continued.
    pub(super) fn on_child_status(&mut self, index: usize, fate: Fate) {
        let member = &mut self.staff[index];
        let (title, pid) = (member.title(), member.pid.map_or(0, Pid::as_raw));
        match fate {
            Fate::Continued => {
                member.stopped = false;
                tracing::info!("{title} (pid {pid}) continued");
                return self.strategy_of(index, |strategy, worker| strategy.back(worker));
            }
            Fate::Stopped => {
                member.stopped = true;
                tracing::warn!("{title} (pid {pid}) was stopped by a signal");
                if member.is_keeper() {
                    return self.replace_keeper();
                }
                self.replace_stopped(index);
            }
            Fate::Exited(_) | Fate::Killed(_) => self.on_child_exit(index, fate),
        }
        self.report_gone_to_strategy(index);
        let member = &self.staff[index];
        if member.pid.is_none() && (member.retiring || matches!(self.phase, Phase::Stopping { .. })) {
            self.staff.remove(index);
        }
    }

    /// Tells the strategy that a worker is gone, so that others take over what it held.
    pub(super) fn report_gone_to_strategy(&self, index: usize) {
        self.strategy_of(index, |strategy, worker| strategy.gone(worker));
    }

    /// Calls the strategy of a worker.
    fn strategy_of(&self, index: usize, tell: impl Fn(&dyn Strategy, usize)) {
        let member = &self.staff[index];
        if member.is_worker() {
            tell(&*member.generation.strategy, member.number);
        }
    }

    /// All workers depend on their auxiliary process. If it was stopped, a replacement starts at once, and the old one
    /// is continued to finish its work and end.
    fn replace_stopped(&mut self, index: usize) {
        let member = &mut self.staff[index];
        let (duty, generation) = (member.duty, Rc::clone(&member.generation));
        if member.is_worker() || member.retiring || self.phase != Phase::Running {
            return;
        }
        let taken = |slot: usize| self.staff.iter().any(|member| member.slot == slot);
        let Some(slot) = (0..self.board.rows()).find(|&slot| !taken(slot)) else { return };
        self.staff[index].retiring = true;
        self.board.header().respawns.fetch_add(1, SeqCst);
        self.add_member(Member::new(slot, 0, duty, &generation));
    }

    fn on_child_exit(&mut self, index: usize, fate: Fate) {
        let member = &mut self.staff[index];
        let (title, pid) = (member.title(), member.pid.take().map_or(0, Pid::as_raw));
        let was_ready = member.ready;
        (member.ready, member.stopped) = (false, false);
        let row = self.board.row(member.slot);
        row.pid.store(0, Relaxed);
        row.state.store(State::Empty as u64, Relaxed);
        // Its connections are gone; the keeper still counts its handlers.
        row.open.store(0, Relaxed);
        row.lingering.store(0, Relaxed);
        row.bodies.store(0, SeqCst);
        row.unwritten.store(0, Relaxed);
        row.running.store(0, SeqCst);
        self.board.clients().inspect(|clients| clients.clear(member.slot));
        self.report_gone(index, Pid::from_raw(pid));
        if self.staff[index].is_keeper() {
            self.count_cut_responses();
        }
        let member = &mut self.staff[index];
        let expected = member.retiring || self.phase != Phase::Running;
        match fate {
            Fate::Exited(0) if expected => tracing::debug!("{title} (pid {pid}) has finished"),
            Fate::Killed(signal) => {
                tracing::error!("{title} (pid {pid}) was killed by signal {signal}")
            }
            _ => tracing::error!("{title} (pid {pid}) ended: {fate:?}"),
        }
        member.deaths_unready += u32::from(!was_ready && !expected);
        member.last_fate = Some(fate);
        let pause = if expected { Duration::ZERO } else { member.pause() };
        if !pause.is_zero() {
            tracing::error!(
                "{title} keeps dying within a second of its start; next attempt in {} ms",
                pause.as_millis()
            );
        }
        member.due = Some(Instant::now() + pause);
    }

    /// Abandons a starting generation if a member keeps dying before it is ready.
    ///
    /// # Errors
    /// The instance was not ready before.
    pub(super) fn give_up_hopeless_generation(&mut self) -> Result<(), Error> {
        let Some(starting) = self.starting.clone() else { return Ok(()) };
        let hopeless = |member: &&Member| member.is_of(&starting) && member.deaths_unready >= HOPELESS;
        let Some(member) = self.staff.iter().find(hopeless) else { return Ok(()) };
        let fate = member.last_fate.map_or_else(String::new, |fate| fate.to_string());
        let reason = format!("{} died {HOPELESS} times before it accepted ({fate})", member.title());
        self.cannot_start(&starting, &reason)
    }

    /// Forks every member that is due. A failure is retried later.
    ///
    /// # Errors
    /// A fork failed before the instance was ready.
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
            tracing::error!("{reason}; next attempt in {pause} ms");
            for index in due {
                let member = &mut self.staff[index];
                member.due = member.due.map(|_| now + FIRST_PAUSE);
            }
        }
        Ok(())
    }

    fn spawn(&mut self, index: usize, sockets: &mut Vec<OwnedFd>) -> Result<(), String> {
        let member = &self.staff[index];
        let (slot, again) = (member.slot, member.starts > 0);
        self.board.row(slot).state.store(State::Starting as u64, Relaxed);
        let (owner, pipes) = self.standard_errors(index);
        let prepared = self.own().stderr.prepare(owner, pipes);
        prepared.map_err(|error| {
            format!("cannot make a standard error for {}: {error}", self.staff[index].title())
        })?;
        let supervisor = nix::unistd::getpid();
        let worker = self.staff[index].is_worker();
        let forked = match self.own().oom.as_ref().filter(|_| worker) {
            Some(score) => score.raised_by(OOM_POINTS, fork_single_threaded),
            None => fork_single_threaded(),
        };
        match forked {
            Ok(None) => self.become_member(index, supervisor, std::mem::take(sockets)),
            Ok(Some(pid)) => {
                let member = &mut self.staff[index];
                member.begin(pid, sockets.len());
                self.handlers.session(pid);
                if again {
                    self.board.header().respawns.fetch_add(1, SeqCst);
                }
                tracing::debug!("{} has pid {pid}", member.title());
                Ok(())
            }
            Err(error) => Err(format!("cannot fork {}: {error}", self.staff[index].title())),
        }
    }

    /// The owner of a member's stderr pipes, and how many of them can be lent to handlers.
    fn standard_errors(&self, index: usize) -> (Owner, usize) {
        let Member { slot, number, generation, .. } = &self.staff[index];
        let worker = self.staff[index].is_worker().then_some(*number);
        let owner = Owner { row: *slot, generation: generation.number, worker };
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        (owner, worker.map_or(0, |_| stderr::pipes_each(generation.settings.workers, descriptors)))
    }

    /// The child's side of [`spawn`](Self::spawn).
    fn become_member(&mut self, index: usize, supervisor: Pid, sockets: Vec<OwnedFd>) -> ! {
        let member = &self.staff[index];
        let (slot, number, duty, starts) = (member.slot, member.number, member.duty, member.starts);
        let generation = Rc::clone(&member.generation);
        let (owner, _) = self.standard_errors(index);
        let ends = self.own().stderr.take_ends(owner);
        self.own = None;
        self.claim.close_in_child();
        self.ready.iter().for_each(|ready| ready.close_in_child());
        let (Some(mut reports), Some(leases), Some((stderr, pipes))) =
            (self.reports.take(), self.leases.take(), ends)
        else {
            fork::exit_now(EXIT_FATAL)
        };
        // The keeper may be passing on responses, and finishes them.
        let at_its_end = if duty == Duty::Keeper { Signal::SIGTERM } else { Signal::SIGKILL };
        let set_up = fork::begin_session()
            .and_then(|()| fork::end_with(supervisor, at_its_end))
            .and_then(|()| crate::sys::process::standard_streams_to_null())
            .and_then(|()| Ok(nix::unistd::dup2_stderr(&stderr)?));
        drop(stderr);
        let pid = std::process::id();
        if let Err(error) = set_up {
            let _ = reports.write_all(format!("failed {pid} {error}\n").as_bytes());
            fork::exit_now(EXIT_FATAL)
        }
        let report = move |started: Result<(), String>| {
            let line = match started {
                Ok(()) => format!("ready {pid}\n"),
                Err(reason) => format!("failed {pid} {}\n", reason.replace('\n', " ")),
            };
            let _ = reports.write_all(line.as_bytes());
        };
        if duty == Duty::Keeper {
            drop(sockets);
            match self.keeper_post(slot, &generation.settings, supervisor) {
                Some((post, redirects)) => keeper::run(post, redirects, report),
                None => fork::exit_now(EXIT_FATAL),
            }
        }
        let starting = self.starting.as_ref().is_some_and(|starting| Rc::ptr_eq(starting, &generation));
        let context = WorkerContext {
            slot,
            number,
            // A generation that only covers sockets uses settings that have been rehearsed.
            rehearses: starting && !self.only_covers(&generation),
            generation: generation.number,
            starts,
            settings: &generation.settings,
            board: self.board,
            strategy: &*generation.strategy,
            slots: generation.slots.clone(),
            sockets,
            spool_directory: self.claim.folder().files().to_owned(),
            leases,
            nofile: self.nofile,
            stderr: pipes,
            leaves_queue: self.given,
            keeper: self.keeper_ends(&generation.settings),
        };
        match duty {
            Duty::Auxiliary(_) => worker::auxiliary::run(context, report),
            Duty::Worker | Duty::Keeper => worker::run(context, report),
        }
    }
}
