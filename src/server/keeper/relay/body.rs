//! The body of a relayed response, piece by piece. Small pieces are copied, larger ones spliced (splice(2)).

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};

use super::exchange::{Next, Relay, SURPLUS, Stage};
use crate::sys::net;

/// Up to this many bytes are copied, which takes fewer calls than to splice them.
const FEW: usize = 4096;
/// Most bytes of one splice: a whole pipe.
const MANY: usize = 64 * 1024;

impl Relay {
    /// Appends a piece of the body to what is to be sent.
    pub(super) fn emit(&mut self, piece: &[u8]) {
        let mut taken = piece.len();
        match &mut self.stage {
            _ if piece.is_empty() => return,
            Stage::Head(_) | Stage::Rest(_) | Stage::Last => return,
            Stage::UntilClose => self.unsent.extend_from_slice(piece),
            Stage::Chunked(0) => {
                self.unsent.extend_from_slice(format!("{taken:x}\r\n").as_bytes());
                self.unsent.extend_from_slice(piece);
                self.unsent.extend_from_slice(b"\r\n");
            }
            Stage::Chunked(_) => self.unsent.extend_from_slice(piece),
            Stage::Length(left) => {
                taken = taken.min(usize::try_from(*left).unwrap_or(usize::MAX));
                self.unsent.extend_from_slice(&piece[..taken]);
            }
        }
        self.passed(taken);
    }

    /// This many bytes of the body were sent, or will be first.
    fn passed(&mut self, bytes: usize) {
        self.facts.bytes += bytes as u64;
        match &mut self.stage {
            Stage::Chunked(left @ 1..) => {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    self.unsent.extend_from_slice(b"\r\n");
                }
            }
            Stage::Length(left) => {
                *left = left.saturating_sub(bytes as u64);
                if *left == 0 {
                    self.stage = Stage::Rest(SURPLUS);
                }
            }
            _ => {}
        }
    }

    /// Passes on a piece of the body, if there is one.
    pub(super) fn pass_on(&mut self, scratch: &mut [u8]) -> Option<Next> {
        let available = net::unread(self.output.as_fd()).unwrap_or(0);
        let most = match &mut self.stage {
            Stage::Chunked(left @ 1..) => *left,
            _ if available == 0 => FEW, // its end, or nothing yet
            Stage::Chunked(left) if available > FEW && !self.copies => {
                *left = available;
                self.unsent = format!("{available:x}\r\n").into_bytes();
                return None;
            }
            Stage::Length(left) => available.min(usize::try_from(*left).unwrap_or(usize::MAX)),
            _ => available,
        };
        if most > FEW && !self.copies {
            return self.splice(most.min(MANY));
        }
        let Some(n) = self.read(&mut scratch[..most.min(FEW)]) else { return Some(Next::Output) };
        self.emit(&scratch[..n]);
        None
    }

    fn splice(&mut self, most: usize) -> Option<Next> {
        let client = self.client.as_ref()?;
        if !self.nonblocking {
            self.nonblocking = net::set_nonblocking(client.as_fd(), true).is_ok();
            self.copies = !self.nonblocking;
        }
        let mut flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        if matches!(self.stage, Stage::Chunked(_)) {
            flags |= SpliceFFlags::SPLICE_F_MORE;
        }
        match splice(&self.output, None, client, None, most, flags) {
            Ok(0) => self.output_ended = true,
            Ok(n) => self.passed(n),
            Err(Errno::EAGAIN) => return Some(Next::Client),
            Err(Errno::EINTR) => {}
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => self.copies = true,
            Err(_) => return Some(self.client_has_gone()),
        }
        None
    }
}
