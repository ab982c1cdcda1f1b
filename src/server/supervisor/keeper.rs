//! The keeper as the supervisor sees it: one process that belongs to no generation and lives as long as any generation
//! needs it.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Supervisor;
use super::generation::Generation;
use super::keeper_socket::KeeperSocket;
use super::member::{Duty, Member};
use crate::scoreboard::{add, subtract};
use crate::server::config::Settings;
use crate::server::keeper::Post;
use crate::server::keeper::note::Note;
use crate::server::keeper::relay::Redirects;
use crate::server::logging;

impl Supervisor {
    /// Makes sure that there is a keeper if the new generation needs one.
    ///
    /// # Errors
    /// The keeper's socket or its row cannot be had.
    pub(super) fn ensure_keeper(&mut self, generation: &Rc<Generation>) -> Result<(), String> {
        if !generation.settings.needs_keeper() {
            return Ok(());
        }
        if self.keeper_socket.is_none() {
            self.keeper_socket = Some(KeeperSocket::open()?);
        }
        if let Some(keeper) = self.staff.iter_mut().find(|member| member.is_keeper()) {
            keeper.retiring = false;
            if std::mem::take(&mut keeper.told) {
                // It may be ending already; then its replacement finds this message.
                self.tell_keeper(Note::Stay);
            }
            return Ok(());
        }
        let slot = self.free_slots(1)?[0];
        self.add_member(Member::new(slot, 0, Duty::Keeper, generation));
        Ok(())
    }

    /// Retires the keeper when no generation needs it; it ends after the handlers that it watches.
    pub(super) fn dismiss_keeper(&mut self) {
        let needed =
            self.staff.iter().any(|member| !member.is_keeper() && member.generation.settings.needs_keeper());
        if let Some(keeper) = self.staff.iter_mut().find(|member| member.is_keeper() && !needed) {
            keeper.retiring = true;
        }
    }

    /// Whether no worker is left that reports to the keeper.
    pub(super) fn keeper_may_leave(&self) -> bool {
        !self.staff.iter().any(|member| member.is_worker() && member.generation.settings.needs_keeper())
    }

    /// A keeper stopped by a signal watches nothing: it is killed, and its replacement counts from scratch.
    pub(super) fn replace_keeper(&self) {
        self.staff
            .iter()
            .filter(|member| member.is_keeper())
            .for_each(|keeper| keeper.signal(Signal::SIGKILL));
    }

    /// A worker has ended: asks the keeper to look for handlers that the worker did not report.
    pub(super) fn report_gone(&mut self, index: usize, session: Pid) {
        let member = &self.staff[index];
        let (row, header) = (self.board.row(member.slot), self.board.header());
        let unreported = row.begun.load(SeqCst).saturating_sub(row.sent.load(SeqCst));
        let timeout = member.generation.settings.timeout_of_unknown();
        if unreported == 0 {
            return;
        }
        // Count them as running until the keeper has looked for them.
        let lost = header.lost.fetch_add(unreported, SeqCst) + unreported;
        subtract(&row.begun, unreported);
        self.tell_keeper(Note::Gone { session: session.as_raw(), lost, timeout });
    }

    /// A worker of an earlier program has ended: it reported to another keeper what it started since this one has looked.
    pub(super) fn look_for_handlers(&mut self, session: Pid) {
        let youngest = self.current.as_ref().or(self.starting.as_ref());
        let timeout = youngest.and_then(|generation| generation.settings.timeout_of_unknown());
        let lost = self.board.header().lost.load(SeqCst);
        self.tell_keeper(Note::Gone { session: session.as_raw(), lost, timeout });
    }

    /// Tells the keeper the new log level and format.
    pub(super) fn tell_logging(&mut self) {
        self.tell_keeper(Note::Logging(logging::settings()));
    }

    pub(super) fn tell_keeper(&mut self, note: Note) {
        if let Some(socket) = &mut self.keeper_socket {
            socket.unsent.push(note);
            socket.send();
        }
    }

    /// Sends what could not be sent before.
    pub(super) fn send_to_keeper(&mut self) {
        self.keeper_socket.iter_mut().for_each(KeeperSocket::send);
    }

    /// Whether messages to the keeper are waiting.
    pub(super) fn has_unsent(&self) -> bool {
        self.keeper_socket.as_ref().is_some_and(|socket| !socket.unsent.is_empty())
    }

    /// A keeper has ended: the responses that it was passing on are cut.
    pub(super) fn count_cut_responses(&self) {
        let header = self.board.header();
        let cut = header.relaying.swap(0, SeqCst);
        if cut > 0 {
            add(&header.cut, cut);
            tracing::error!("{cut} responses were cut off when the keeper ended");
        }
    }

    /// In a forked worker: the ends of the sockets through which it reports and takes local redirects, if its settings
    /// need a keeper.
    pub(super) fn keeper_ends(&mut self, settings: &Settings) -> Option<(OwnedFd, OwnedFd)> {
        let socket = self.keeper_socket.take().filter(|_| settings.needs_keeper())?;
        Some((socket.entrance, socket.redirects.1))
    }

    /// In a forked keeper: its context.
    pub(super) fn keeper_post(
        &mut self,
        slot: usize,
        settings: &Settings,
        supervisor: Pid,
    ) -> Option<(Post, Redirects)> {
        let KeeperSocket { exit, redirects, .. } = self.keeper_socket.take()?;
        let post = Post {
            slot,
            board: self.board,
            exit,
            sessions: self.handlers.sessions().collect::<HashSet<_>>(),
            earlier: self.earlier_workers().collect(),
            timeout: settings.timeout_of_unknown(),
            outcomes: settings.outcomes.are_recorded(),
            supervisor,
        };
        Some((post, Redirects::new(redirects)))
    }
}
