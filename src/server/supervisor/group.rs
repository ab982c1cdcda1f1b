//! The listening sockets while the instance runs: more are added when the number of workers grows, and each always has
//! a worker.
//!
//! A socket in a reuseport group receives connections from the moment it listens, and is never closed while the
//! instance runs, since that would reset its queue. So a generation that binds more sockets and is then abandoned
//! leaves sockets behind that its predecessor does not know.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::generation::Generation;
use super::{Phase, Supervisor, bind};
use crate::listener::socket;
use crate::server::config::Settings;

/// Pause before the next attempt to serve sockets that have no worker.
const PAUSE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Starts a generation with these settings, and binds the sockets that it needs.
    pub(super) fn begin(&mut self, settings: Settings) -> Result<Rc<Generation>, String> {
        // Members first: a new socket receives connections at once, so a worker must be certain to come.
        let generation = self.new_generation(Rc::new(settings))?;
        let grown = self
            .grow(&generation.settings)
            .and_then(|()| self.ensure_keeper(&generation))
            .and_then(|()| self.lend_sockets(&generation));
        if let Err(reason) = grown {
            self.staff.retain(|member| !member.is_of(&generation));
            return Err(reason);
        }
        self.starting = Some(Rc::clone(&generation));
        Ok(generation)
    }

    /// Lends the sockets to the strategy of a generation that has no process yet.
    pub(super) fn lend_sockets(&mut self, generation: &Generation) -> Result<(), String> {
        let mut prepared = Ok(());
        self.with_sockets(|_, sockets| prepared = generation.strategy.prepare(sockets))?;
        prepared.map_err(|error| {
            format!("listener strategy {} cannot use the sockets: {error}", generation.settings.listener)
        })
    }

    /// Binds the missing sockets, parks them beside the others, and applies the settings that can change on an open
    /// socket. The new ones listen last: from then on they may hold connections and have to stay.
    fn grow(&mut self, settings: &Settings) -> Result<(), String> {
        let parking = &mut self.own().parking;
        let sockets =
            parking.copies().map_err(|error| format!("cannot access the listening sockets: {error}"))?;
        for listener in &sockets {
            socket::change(listener.as_fd(), settings.terms())
                .map_err(|error| format!("cannot set backlog and defer-accept: {error}"))?;
        }
        let more = bind::missing(&sockets, settings)
            .map_err(|error| format!("cannot bind more sockets: {error}"))?;
        [&sockets, &more]
            .into_iter()
            .try_for_each(|sockets| bind::set_send_timeout(sockets, settings))
            .map_err(|error| format!("cannot set the send-timeout: {error}"))?;
        parking.park(&more).map_err(|error| format!("cannot park more sockets: {error}"))?;
        listen(&more, settings).inspect_err(|_| parking.release_beyond(sockets.len()))
    }

    /// Starts a generation with the current settings if the current one lacks sockets. This is checked in every turn of
    /// the main loop, so that no path into that state can be forgotten.
    pub(super) fn cover_sockets(&mut self) {
        if self.next_cover.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.next_cover = None;
        if self.starting.is_some() || matches!(self.phase, Phase::Stopping { .. }) {
            return;
        }
        let Some(current) = self.current.clone().filter(|current| self.lacks_sockets(current)) else {
            return;
        };
        let begun = self.new_generation(Rc::clone(&current.settings)).and_then(|generation| {
            let lent = self.lend_sockets(&generation);
            lent.inspect_err(|_| self.staff.retain(|member| !member.is_of(&generation)))?;
            Ok(generation)
        });
        match begun {
            Ok(generation) => {
                tracing::info!(
                    "generation {} lacks listening sockets; starting generation {} with the same settings",
                    current.number,
                    generation.number
                );
                self.starting = Some(generation);
            }
            Err(reason) => {
                tracing::error!("some listening sockets have no worker, so their connections wait: {reason}");
                self.next_cover = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Whether [`cover_sockets`](Self::cover_sockets) started this generation: then it shares the settings of the
    /// current one.
    pub(super) fn only_covers(&self, generation: &Generation) -> bool {
        self.current.as_ref().is_some_and(|current| Rc::ptr_eq(&current.settings, &generation.settings))
    }

    /// Schedules another attempt after such a generation failed.
    pub(super) fn cover_later(&mut self) {
        self.next_cover = Some(Instant::now() + PAUSE);
    }

    /// Whether a socket has no worker of this generation. A worker that is not forked yet will have all sockets.
    fn lacks_sockets(&self, generation: &Rc<Generation>) -> bool {
        let count = self.parked();
        generation.divides_sockets()
            && self.staff.iter().any(|member| {
                member.is_of(generation)
                    && member.is_worker()
                    && member.pid.is_some()
                    && member.sockets < count
            })
    }

    /// Whether a running worker has all sockets, and so can empty all queues before it ends.
    pub(super) fn has_worker_for_all_sockets(&self) -> bool {
        let count = self.parked();
        self.staff
            .iter()
            .any(|member| member.is_worker() && member.ready && !member.stopped && member.sockets >= count)
    }

    fn parked(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.parking.len())
    }
}

fn listen(sockets: &[OwnedFd], settings: &Settings) -> Result<(), String> {
    sockets
        .iter()
        .try_for_each(|socket| socket::open_queue(socket.as_fd(), settings.terms()))
        .map_err(|error| format!("cannot listen on more sockets: {error}"))
}
