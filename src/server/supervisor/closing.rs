//! The accept queues during a stop: closed to new connections while workers still empty them, then given up.

use std::os::fd::{AsFd, OwnedFd};

use super::Supervisor;
use crate::sys::net::{self, MOST_HOPS};

/// Warning for a stop without a sink, or with one that does not receive every new connection.
pub(super) const DROPPED: &str = "a stop cannot divert new connections from the accept queues and drops their packets \
    instead; a client on the same network whose packets have a time to live of 255 may be reset";

/// Makes listening sockets drop every SYN, except those with the largest possible time to live, which only neighbours
/// can send. A worker undoes this on each connection that it accepts.
pub(super) fn drop_new_connections(sockets: &[OwnedFd]) {
    for socket in sockets {
        // Without this option, clients that arrive while the queues are given up may be reset.
        let _ = net::set_least_hops(socket.as_fd(), MOST_HOPS);
    }
}

impl Supervisor {
    /// From now on no new connection reaches a queue.
    pub(super) fn divert_new_connections(&mut self) {
        let mut sink = self.own().sink.take();
        let mut diverted = Ok(false);
        self.on_all_sockets(|sockets| {
            // Otherwise workers could still attach programs of their own (`reuseport-cbpf`).
            sockets.iter().for_each(|socket| drop(net::lock_program(socket.as_fd())));
            if let Some(sink) = &mut sink {
                diverted = sink.divert(sockets.len());
            }
        });
        match diverted {
            Ok(true) => {}
            diverted => {
                if sink.is_some() {
                    let reason = diverted.err().map_or_else(
                        || format!("a connection to {} from this process does not arrive", self.address),
                        |error| error.to_string(),
                    );
                    tracing::warn!("{DROPPED} ({reason})");
                }
                self.on_all_sockets(drop_new_connections);
            }
        }
        self.own().sink = sink;
    }

    /// Closes the sink once it is the last socket on the port: then new clients are refused and the port is free. If
    /// the kernel does not tell, the sink stays open to the end.
    pub(super) fn release_port(&mut self) {
        let own = self.own();
        if own.sink.as_mut().is_some_and(|sink| sink.is_alone().unwrap_or(false)) {
            own.sink = None;
        }
    }

    /// Whether the port is still to be released.
    pub(super) fn holds_sink(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.sink.is_some())
    }

    /// Calls `act` with copies of the listening sockets.
    pub(super) fn on_all_sockets(&mut self, act: impl FnOnce(&[OwnedFd])) {
        if let Err(reason) = self.with_sockets(|_, sockets| act(sockets)) {
            tracing::error!("{reason}");
        }
    }
}
