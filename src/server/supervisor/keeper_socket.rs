//! The keeper's socket as the supervisor holds it. Both ends stay open here, so that messages outlive a keeper and its
//! replacement receives them.

use std::os::fd::{AsFd, OwnedFd};

use crate::server::keeper::note::{self, Note};
use crate::sys::fdpass;

#[derive(Debug)]
pub(super) struct KeeperSocket {
    pub entrance: OwnedFd,
    pub exit: OwnedFd,
    pub unsent: Vec<Note>,
}

impl KeeperSocket {
    pub fn open() -> Result<Self, String> {
        let (entrance, exit) =
            fdpass::messages().map_err(|error| format!("cannot make the keeper's socket: {error}"))?;
        Ok(Self { entrance, exit, unsent: Vec::new() })
    }

    /// Sends waiting messages in order, as far as there is room.
    pub fn send(&mut self) {
        let mut bytes = [0; note::BYTES];
        let sent = |note: &Note| {
            let length = note.encode(&mut bytes);
            fdpass::send_one(self.entrance.as_fd(), None, &bytes[..length]).is_ok()
        };
        let sent = self.unsent.iter().map(sent).take_while(|sent| *sent).count();
        self.unsent.drain(..sent);
    }
}
