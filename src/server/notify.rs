//! Tells a service manager how the instance fares (sd_notify(3)): ready, reloading, stopping. Without one, nothing.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The way to the service manager.
#[derive(Debug)]
pub struct Notify(Option<UnixDatagram>);

impl Notify {
    /// As `NOTIFY_SOCKET` says.
    ///
    /// # Errors
    /// There is no such socket.
    pub fn from_environment() -> io::Result<Self> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self(None));
        };
        let address = match name.to_str().and_then(|name| name.strip_prefix('@')) {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some(socket)))
    }

    /// Says that the instance serves; `status` is for people. With the process id, for a daemon is another process than the one
    /// that was started.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nMAINPID={}\nSTATUS={status}\n", std::process::id()));
    }

    /// Says that a reload has begun; [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        let now_us = crate::sys::clock::monotonic_ns() / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=reloading\n"));
    }

    /// Says that the instance stops.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping\n");
    }

    /// A service manager that does not listen is not a reason not to serve.
    fn say(&self, state: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::warn!("cannot tell the service manager: {error}");
        }
    }
}
