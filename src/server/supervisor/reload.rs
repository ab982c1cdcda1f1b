//! Generations: the first one's start, and a reload, in which a new one starts before the old one leaves.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::staff::Member;
use super::{Phase, Supervisor, bind};
use crate::listener::socket;
use crate::server::config::Settings;
use crate::server::error::Error;
use crate::server::logging;

impl Supervisor {
    fn youngest(&self) -> u64 {
        self.generations.iter().map(|generation| generation.number).max().unwrap_or(0)
    }

    /// SIGHUP: reads the configuration anew and starts a generation with it. If anything is wrong, the old one goes on.
    pub(super) fn reload(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        if self.ready.is_some() {
            self.reload_again = true;
            return;
        }
        if self.youngest() > self.current {
            tracing::warn!(
                "another reload comes before generation {} was ready: it is given up",
                self.youngest()
            );
            self.give_up(self.youngest());
        }
        self.own().notify.reloading();
        if let Err(reason) = self.try_reload() {
            tracing::error!("reload refused, the old configuration stays: {reason}");
            self.board.header().refused.fetch_add(1, SeqCst);
            self.own().notify.ready(&format!("reload refused: {reason}"));
        }
    }

    fn try_reload(&mut self) -> Result<(), String> {
        let mut settings = self.sources.resolve().map_err(|error| error.to_string())?;
        let old = self.current_settings().ok_or("there is no generation to replace")?;
        // The port that was bound, where any would do.
        if settings.port == 0 {
            settings.port = old.port;
        }
        if self.given {
            (settings.bind, settings.port) = (old.bind, old.port);
            // It may be after the port that was asked for.
            settings.name.clone_from(&old.name);
        }
        if settings.refuse_root && geteuid().is_root() {
            return Err(
                "refuse-root forbids to serve as root, and this is root; stop it and start it with --user"
                    .into(),
            );
        }
        if let Some(what) = fixed_difference(&old, &settings) {
            return Err(format!("{what} cannot change while the instance runs; stop it and start it again"));
        }
        let mut generation = Self::new_generation(self.youngest() + 1, Rc::new(settings))?;
        let settings = Rc::clone(&generation.settings);
        // Places first: a socket in the group gets connections at once, and somebody must come to serve it.
        self.take_places(&mut generation)?;
        if let Err(reason) = self.grow(&settings) {
            self.staff.retain(|member| member.generation != generation.number);
            return Err(reason);
        }
        tracing::info!("reload: generation {} begins with {} workers", generation.number, settings.workers);
        logging::set(settings.log_level, settings.log_format);
        self.begin(generation)
    }

    /// Binds the sockets that are still missing for these settings, and parks them beside the others, which get what can be
    /// changed on an open socket.
    fn grow(&mut self, settings: &Settings) -> Result<(), String> {
        let sockets =
            self.own().parking.copies().map_err(|error| format!("cannot get at the sockets: {error}"))?;
        for listener in &sockets {
            socket::change(listener.as_fd(), settings.terms())
                .map_err(|error| format!("cannot set backlog and defer-accept: {error}"))?;
        }
        let more = bind::siblings(&sockets, settings)
            .map_err(|error| format!("cannot bind more sockets: {error}"))?;
        [&sockets, &more]
            .into_iter()
            .try_for_each(|sockets| bind::set_send_timeout(sockets, settings))
            .map_err(|error| format!("cannot set the send-timeout: {error}"))?;
        self.own().parking.park(more).map_err(|error| format!("cannot park more sockets: {error}"))
    }

    fn current_settings(&self) -> Option<Rc<Settings>> {
        let current = self.generations.iter().find(|generation| generation.number == self.current)?;
        Some(Rc::clone(&current.settings))
    }

    /// When all workers of the youngest generation accept, it is the current one, and older ones leave.
    pub(super) fn promote(&mut self) {
        let youngest = self.youngest();
        let announced = self.ready.is_none() && youngest == self.current;
        let accepting = |number| {
            self.staff.iter().filter(|member| member.generation == number).all(|member| member.ready)
        };
        if announced || !accepting(youngest) {
            return;
        }
        self.current = youngest;
        let Some(settings) = self.current_settings() else { return };
        self.board.header().workers.store(settings.workers as u64, Relaxed);
        self.board.header().generation.store(youngest, SeqCst);
        self.announce(&settings);
        self.retire_older(youngest);
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
                let _ = crate::sys::map::forget_code();
            }
            None => {
                if let Err(error) = settings.save(&self.claim.folder().config()) {
                    tracing::warn!("{error}");
                }
            }
        }
    }

    fn retire_older(&mut self, than: u64) {
        self.retire(|generation| generation < than);
    }

    fn retire(&mut self, of: impl Fn(u64) -> bool) {
        self.staff
            .iter_mut()
            .filter(|member| of(member.generation))
            .for_each(|member| member.retiring = true);
        // Places that wait for a successor are not filled any more.
        self.staff.retain(|member| member.pid.is_some() || !member.retiring);
        self.tell_retiring();
    }

    /// Tells those who retire and do not know it yet to leave. Workers leave after the process that serves their strategy:
    /// then nothing comes after them to what they have emptied.
    pub(super) fn tell_retiring(&mut self) {
        let awaited = |member: &Member| !member.is_worker() && member.pid.is_some() && !member.stopped;
        let awaited: Vec<u64> =
            self.staff.iter().filter(|member| awaited(member)).map(|member| member.generation).collect();
        for member in self.staff.iter_mut().filter(|member| member.retiring && !member.told) {
            if !member.is_worker() || !awaited.contains(&member.generation) {
                member.told = true;
                member.signal(Signal::SIGTERM);
            }
        }
        self.end_those_who_serve_nobody();
    }

    /// One that was stopped may go on and give away what it has in hand; but when the workers it served are gone, nobody
    /// is left to take it.
    fn end_those_who_serve_nobody(&self) {
        let served: Vec<u64> =
            self.staff.iter().filter(|member| member.is_worker()).map(|member| member.generation).collect();
        let idle = |member: &&Member| {
            member.told && member.stopped && !member.is_worker() && !served.contains(&member.generation)
        };
        self.staff.iter().filter(idle).for_each(|member| member.signal(Signal::SIGKILL));
    }

    /// A worker says that it cannot start. Before the instance was ready that ends it; a new generation is given up; a
    /// successor is tried again.
    pub(super) fn cannot_start(&mut self, generation: u64, reason: &str) -> Result<(), Error> {
        if self.ready.is_some() {
            return Err(Error::Failed(format!("the workers cannot start: {reason}")));
        }
        tracing::error!("a worker of generation {generation} cannot start: {reason}");
        if generation > self.current && self.generations.iter().any(|known| known.number == generation) {
            tracing::error!("reload given up, the old workers go on");
            self.board.header().refused.fetch_add(1, SeqCst);
            self.own().notify.ready(&format!("reload given up: {reason}"));
            self.give_up(generation);
            self.serve_all_sockets(generation);
        }
        Ok(())
    }

    /// Ends a generation that is not the current one. Those of its workers that accept already finish what they have.
    fn give_up(&mut self, generation: u64) {
        self.retire(|number| number == generation);
        self.generations.retain(|candidate| candidate.number != generation);
    }

    /// After a generation that would have had more workers: its sockets are in the group already, and connections
    /// come to them. A generation of the old size that knows of them serves them all.
    fn serve_all_sockets(&mut self, failed: u64) {
        let Some(settings) = self.current_settings() else { return };
        let sockets = self.own().parking.copies().map_or(0, |sockets| sockets.len());
        if sockets <= settings.listener.sockets().of(settings.workers).max(self.served) {
            return;
        }
        self.served = sockets;
        let begun = Self::new_generation(failed + 1, settings)
            .and_then(|mut generation| self.take_places(&mut generation).map(|()| generation))
            .and_then(|generation| self.begin(generation));
        if let Err(reason) = begun {
            tracing::error!("{sockets} sockets, not all are served; try another reload: {reason}");
        }
    }
}

/// What a reload cannot change, if it would have to.
fn fixed_difference(old: &Settings, new: &Settings) -> Option<&'static str> {
    [
        (old.bind != new.bind, "the address (bind)"),
        (old.port != new.port, "the port"),
        (old.name != new.name, "the name"),
        (old.listener != new.listener, "the listener strategy"),
        (old.state_dir != new.state_dir, "the state directory (state-dir)"),
        (old.user != new.user || old.group != new.group, "the user or group"),
    ]
    .into_iter()
    .find_map(|(differs, what)| differs.then_some(what))
}
