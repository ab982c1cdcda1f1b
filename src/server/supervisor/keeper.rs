//! The keeper as the supervisor sees it: one process, of no generation, as long as a setting of any generation needs it.
//!
//! Both ends of its socket stay open here: what workers have sent outlives a keeper, and its successor receives it.

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
use crate::scoreboard::subtract;
use crate::server::config::Settings;
use crate::server::keeper::Post;
use crate::server::keeper::note::Note;
use crate::server::logging;

impl Supervisor {
    /// A generation begins: sees to it that there is a keeper, if it needs one.
    ///
    /// # Errors
    /// It has no place.
    pub(super) fn ensure_keeper(&mut self, generation: &Rc<Generation>) -> Result<(), String> {
        if !generation.settings.needs_keeper() {
            return Ok(());
        }
        if self.keeper_socket.is_none() {
            self.keeper_socket = Some(KeeperSocket::open()?);
        }
        if let Some(keeper) = self.staff.iter_mut().find(|member| member.is_keeper()) {
            if keeper.retiring {
                // It may be about to leave: a successor counts anew.
                (keeper.retiring, keeper.told) = (false, false);
                keeper.signal(Signal::SIGKILL);
            }
            return Ok(());
        }
        let slot = self.free_slots(1)?[0];
        self.add_member(Member::new(slot, 0, Duty::Keeper, generation));
        Ok(())
    }

    /// No generation needs the keeper any more: it leaves when the handlers that it watches have ended.
    pub(super) fn dismiss_keeper(&mut self) {
        let needed =
            self.staff.iter().any(|member| !member.is_keeper() && member.generation.settings.needs_keeper());
        if let Some(keeper) = self.staff.iter_mut().find(|member| member.is_keeper() && !needed) {
            keeper.retiring = true;
        }
    }

    /// Whether the keeper has nothing to wait for any more but handlers: no worker is left that reports to it.
    pub(super) fn keeper_may_leave(&self) -> bool {
        !self.staff.iter().any(|member| member.is_worker() && member.generation.settings.needs_keeper())
    }

    /// A keeper that is stopped watches nothing. Nobody waits for it to go on: its successor counts anew.
    pub(super) fn replace_keeper(&self) {
        self.staff
            .iter()
            .filter(|member| member.is_keeper())
            .for_each(|keeper| keeper.signal(Signal::SIGKILL));
    }

    /// The process in a worker's row has ended: has the keeper look for handlers that it did not report.
    pub(super) fn report_gone(&mut self, index: usize, session: Pid) {
        let member = &self.staff[index];
        let (row, header) = (self.board.row(member.slot), self.board.header());
        let unreported = row.begun.load(SeqCst).saturating_sub(row.sent.load(SeqCst));
        let timeout = member.generation.settings.handler_timeout;
        if unreported == 0 {
            return;
        }
        // They count until they are found, or not.
        let lost = header.lost.fetch_add(unreported, SeqCst) + unreported;
        subtract(&row.begun, unreported);
        self.tell_keeper(Note::Gone { session: session.as_raw(), lost, timeout });
    }

    /// The log's level and format have changed.
    pub(super) fn tell_logging(&mut self) {
        self.tell_keeper(Note::Logging(logging::settings()));
    }

    fn tell_keeper(&mut self, note: Note) {
        if let Some(socket) = &mut self.keeper_socket {
            socket.unsent.push(note);
            socket.send();
        }
    }

    /// Tries again what could not be sent to the keeper.
    pub(super) fn send_to_keeper(&mut self) {
        self.keeper_socket.iter_mut().for_each(KeeperSocket::send);
    }

    /// Whether something waits to be sent to the keeper.
    pub(super) fn has_unsent(&self) -> bool {
        self.keeper_socket.as_ref().is_some_and(|socket| !socket.unsent.is_empty())
    }

    /// In a forked worker: the end that it reports through, where its settings need it.
    pub(super) fn entrance(&mut self, settings: &Settings) -> Option<OwnedFd> {
        self.keeper_socket.take().filter(|_| settings.needs_keeper()).map(|socket| socket.entrance)
    }

    /// In a forked keeper: what it is to know.
    pub(super) fn keeper_post(&mut self, slot: usize, settings: &Settings, supervisor: Pid) -> Option<Post> {
        let KeeperSocket { exit, .. } = self.keeper_socket.take()?;
        Some(Post {
            slot,
            board: self.board,
            exit,
            sessions: self.handlers.sessions().collect::<HashSet<_>>(),
            timeout: settings.handler_timeout,
            outcomes: settings.outcomes.are_recorded(),
            log_path: self.claim.folder().log(),
            supervisor,
        })
    }
}
