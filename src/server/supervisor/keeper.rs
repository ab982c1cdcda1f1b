//! The keeper as the supervisor sees it: one process, of no generation, as long as a setting of any generation needs it.
//!
//! Both ends of its socket stay open here: what workers have sent outlives a keeper, and its successor receives it.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::Supervisor;
use super::generation::Generation;
use super::member::{Duty, Member};
use crate::scoreboard::subtract;
use crate::server::config::Settings;
use crate::server::keeper::Post;
use crate::server::keeper::note::{self, Note};
use crate::server::logging;
use crate::sys::fdpass;

/// The keeper's socket, once there has been one.
#[derive(Debug)]
pub(super) struct Desk {
    entrance: OwnedFd,
    exit: OwnedFd,
    /// What could not be sent yet.
    unsent: Vec<Note>,
}

impl Desk {
    fn open() -> Result<Self, String> {
        let (entrance, exit) =
            fdpass::messages().map_err(|error| format!("cannot make the keeper's socket: {error}"))?;
        Ok(Self { entrance, exit, unsent: Vec::new() })
    }

    /// Sends what is unsent, in order, as far as there is room.
    fn send(&mut self) {
        let mut bytes = [0; note::BYTES];
        let sent = |note: &Note| {
            let length = note.encode(&mut bytes);
            fdpass::send_one(self.entrance.as_fd(), None, &bytes[..length]).is_ok()
        };
        let sent = self.unsent.iter().map(sent).take_while(|sent| *sent).count();
        self.unsent.drain(..sent);
    }
}

impl Supervisor {
    /// A generation begins: sees to it that there is a keeper, if it needs one.
    ///
    /// # Errors
    /// It has no place.
    pub(super) fn staff_keeper(&mut self, generation: &Rc<Generation>) -> Result<(), String> {
        if !generation.settings.needs_keeper() {
            return Ok(());
        }
        if self.desk.is_none() {
            self.desk = Some(Desk::open()?);
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
        self.take_place(Member::new(slot, 0, Duty::Keeper, generation));
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
        if let Some(desk) = &mut self.desk {
            desk.unsent.push(note);
            desk.send();
        }
    }

    /// Tries again what could not be sent to the keeper.
    pub(super) fn send_to_keeper(&mut self) {
        self.desk.iter_mut().for_each(Desk::send);
    }

    /// Whether something waits to be sent to the keeper.
    pub(super) fn has_unsent(&self) -> bool {
        self.desk.as_ref().is_some_and(|desk| !desk.unsent.is_empty())
    }

    /// In a forked worker: the end that it reports through, where its settings need it.
    pub(super) fn entrance(&mut self, settings: &Settings) -> Option<OwnedFd> {
        self.desk.take().filter(|_| settings.needs_keeper()).map(|desk| desk.entrance)
    }

    /// In a forked keeper: what it is to know.
    pub(super) fn keepers_post(&mut self, slot: usize, settings: &Settings, supervisor: Pid) -> Option<Post> {
        let Desk { exit, .. } = self.desk.take()?;
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
