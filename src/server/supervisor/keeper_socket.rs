//! The keeper's sockets as the supervisor holds them: one to it, for the messages of workers and the supervisor, and one from
//! it, for local redirects that workers take. Both ends of each stay open here, so that messages outlive a keeper and its
//! replacement receives them.

use std::os::fd::{AsFd, OwnedFd};

use crate::server::keeper::note::Note;
use crate::sys::fdpass;

#[derive(Debug)]
pub(super) struct KeeperSocket {
    pub entrance: OwnedFd,
    pub exit: OwnedFd,
    /// The keeper's end and the workers' end.
    pub redirects: (OwnedFd, OwnedFd),
    pub unsent: Vec<Note>,
}

impl KeeperSocket {
    pub fn open() -> Result<Self, String> {
        let pair = || fdpass::messages().map_err(|error| format!("cannot make the keeper's socket: {error}"));
        let ((entrance, exit), redirects) = (pair()?, pair()?);
        Ok(Self { entrance, exit, redirects, unsent: Vec::new() })
    }

    /// Sends waiting messages in order, as far as there is room.
    pub fn send(&mut self) {
        let mut bytes = Vec::new();
        let sent = |note: &Note| {
            note.encode(&mut bytes);
            fdpass::send_one(self.entrance.as_fd(), None, &bytes).is_ok()
        };
        let sent = self.unsent.iter().map(sent).take_while(|sent| *sent).count();
        self.unsent.drain(..sent);
    }
}
