//! Succession of generations: a new one starts beside the old one, and takes over when all of it is ready or is
//! abandoned.

use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::generation::Generation;
use super::member::Member;
use super::{Phase, Supervisor};
use crate::server::config::Settings;
use crate::server::error::Error;
use crate::server::logging::{self, access};

impl Supervisor {
    /// SIGHUP: reads the configuration again and starts a generation with it. If anything is wrong, the old one stays.
    pub(super) fn reload(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        let Some(current) = self.current.clone() else {
            self.reload_again = true;
            return;
        };
        if let Some(starting) = self.starting.take() {
            tracing::warn!("reload superseded; abandoning generation {}", starting.number);
            self.retire(|member| member.is_of(&starting));
        }
        self.own().notify.reloading();
        if let Some(program) = self.replacement() {
            let checked = self.read_settings(&current.settings).map(drop);
            let reason = checked.err().unwrap_or_else(|| self.upgrade(&program));
            return self.refuse_reload("upgrade refused", &reason);
        }
        if let Err(reason) = self.try_reload(&current.settings) {
            self.refuse_reload("reload refused", &reason);
        }
    }

    /// Reads the settings again.
    fn read_settings(&self, old: &Settings) -> Result<Settings, String> {
        let mut settings = self.sources.resolve().map_err(|error| error.to_string())?;
        // Port 0 means the port that is bound already.
        if settings.port == 0 {
            settings.port = old.port;
        }
        if self.given {
            (settings.bind, settings.port) = (old.bind.clone(), old.port);
            // The name may derive from the requested port.
            settings.name.clone_from(&old.name);
        }
        if settings.refuse_root && geteuid().is_root() {
            return Err(
                "refuse-root forbids running as root; stop the instance and start it with --user".into()
            );
        }
        if let Some(what) = fixed_difference(old, &settings) {
            return Err(format!("{what} cannot change while the instance runs; restart it"));
        }
        Ok(settings)
    }

    fn try_reload(&mut self, old: &Settings) -> Result<(), String> {
        let settings = self.read_settings(old)?;
        access::set(settings.access_log).map_err(|error| format!("cannot open the access log: {error}"))?;
        let Generation { number, settings, .. } = &*self.begin(settings)?;
        tracing::info!("reload: starting generation {number} with {} workers", settings.workers);
        logging::set(settings.log_level, settings.log_format);
        self.tell_logging();
        Ok(())
    }

    /// When all members of the starting generation are ready, it becomes the current one, and the others retire.
    pub(super) fn promote(&mut self) {
        let Some(starting) = &self.starting else { return };
        let mut members = self.staff.iter().filter(|member| member.is_of(starting));
        if matches!(self.phase, Phase::Stopping { .. }) || !members.all(|member| member.ready) {
            return;
        }
        // A start also waits for the keeper. Later it may be restarting, and reports to it wait in its socket.
        if self.current.is_none() && self.staff.iter().any(|member| member.is_keeper() && !member.ready) {
            return;
        }
        let Some(current) = self.starting.take() else { return };
        self.board.header().workers.store(current.settings.workers as u64, Relaxed);
        self.board.header().generation.store(current.number, SeqCst);
        self.current = Some(Rc::clone(&current));
        self.own().earlier = None;
        if self.phase == Phase::Running {
            self.announce(&current.settings);
        }
        self.retire(|member| !member.is_of(&current) && !member.is_keeper());
        if let Some(keeper) = self.staff.iter_mut().find(|member| member.is_keeper()) {
            keeper.generation = Rc::clone(&current);
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload();
        }
    }

    fn announce(&mut self, settings: &Settings) {
        let Settings { name, workers, listener, .. } = settings;
        let line = format!("{name} ready on {}, {workers} workers, {listener}", self.address);
        tracing::info!("{line}");
        self.own().notify.ready(&line);
        match self.ready.take() {
            Some(ready) => {
                ready.ready(&format!("caffeine: {line}"));
                self.own().has_just_started = true;
            }
            None => {
                if let Err(error) = settings.save(&self.claim.folder().config()) {
                    tracing::warn!("{error}");
                }
            }
        }
    }

    /// Retires members. Those that are ready finish their connections.
    fn retire(&mut self, chosen: impl Fn(&Member) -> bool) {
        self.staff.iter_mut().filter(|member| chosen(member)).for_each(|member| member.retiring = true);
        // Members without a process are dropped.
        self.staff.retain(|member| member.pid.is_some() || !member.retiring);
        self.tell_retiring();
    }

    /// Sends SIGTERM to retiring members that have not had it. Workers get it after their auxiliary process has ended,
    /// so that it passes nothing to a channel that they have emptied.
    pub(super) fn tell_retiring(&mut self) {
        let untold = |member: &&mut Member| member.retiring && !member.told;
        for member in self.staff.iter_mut().filter(|member| member.is_auxiliary()).filter(untold) {
            member.leave();
            // It may hold a connection that only its own workers can take, so it must run until they have ended.
            if std::mem::take(&mut member.stopped) {
                member.signal(Signal::SIGCONT);
            }
        }
        let awaited = |member: &&Member| member.is_auxiliary() && member.pid.is_some() && !member.stopped;
        let awaited: Vec<u64> =
            self.staff.iter().filter(awaited).map(|member| member.generation.number).collect();
        let keeper = self.keeper_may_leave();
        self.staff
            .iter_mut()
            .filter(untold)
            .filter(
                |member| {
                    if member.is_keeper() { keeper } else { !awaited.contains(&member.generation.number) }
                },
            )
            .for_each(Member::leave);
        self.release_idle_dispatchers();
    }

    /// A dispatcher may be stopped again when its workers have ended. It is continued, because the current generation
    /// takes over its connections. During a stop there is no such generation, and it is killed.
    fn release_idle_dispatchers(&mut self) {
        let workers = self.staff.iter().filter(|member| member.is_worker());
        let served: Vec<u64> = workers.map(|member| member.generation.number).collect();
        let signal = if self.phase == Phase::Running { Signal::SIGCONT } else { Signal::SIGKILL };
        let idle = |member: &&mut Member| {
            member.told
                && member.stopped
                && member.is_auxiliary()
                && !served.contains(&member.generation.number)
        };
        for member in self.staff.iter_mut().filter(idle) {
            member.stopped = signal != Signal::SIGCONT;
            member.signal(signal);
        }
    }

    /// A member cannot start. Before the instance is ready this ends the instance; a new generation is abandoned; a
    /// replacement is tried again.
    pub(super) fn cannot_start(&mut self, generation: &Rc<Generation>, reason: &str) -> Result<(), Error> {
        if self.ready.is_some() {
            return Err(Error::Failed(format!("the workers cannot start: {reason}")));
        }
        tracing::error!("a worker of generation {} cannot start: {reason}", generation.number);
        let Some(starting) = self.starting.take_if(|starting| Rc::ptr_eq(starting, generation)) else {
            return Ok(());
        };
        self.retire(|member| member.is_of(&starting));
        if self.only_covers(&starting) {
            self.cover_later();
            return Ok(());
        }
        self.refuse_reload("reload failed", reason);
        Ok(())
    }
}

/// The first setting that differs but cannot change in a reload.
fn fixed_difference(old: &Settings, new: &Settings) -> Option<&'static str> {
    [
        (old.bind != new.bind, "the address (bind)"),
        (old.port != new.port, "the port"),
        (
            old.socket_mode != new.socket_mode || old.socket_owner != new.socket_owner,
            "the permissions of the socket (socket-mode, socket-owner)",
        ),
        (old.name != new.name, "the name"),
        (old.listener != new.listener, "the listener strategy"),
        (old.state_dir != new.state_dir, "the state directory (state-dir)"),
        (old.dumpable != new.dumpable, "dumpable"),
        (old.log_to != new.log_to, "log-to"),
        (old.access_log_file != new.access_log_file, "access-log-file"),
        (old.log_size != new.log_size, "log-size"),
        (old.user != new.user || old.group != new.group, "the user or group"),
    ]
    .into_iter()
    .find_map(|(differs, what)| differs.then_some(what))
}
