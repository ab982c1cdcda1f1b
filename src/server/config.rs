//! What an instance was asked to do, after the command line, the environment and the file were put together.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::instance::Name;
use crate::listener::Choice;
use crate::server::logging::Format;
use crate::server::responders::Respond;

/// Everything the supervisor needs. Complete: no field is looked up anywhere else later.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The instance.
    pub name: Name,
    /// Where instances live; ours is `state_dir/name`.
    pub state_dir: PathBuf,
    /// Base directory of the handlers, absolute.
    pub path: PathBuf,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 lets the kernel choose.
    pub port: u16,
    /// Worker processes, 1 to [`MAX_WORKERS`].
    pub workers: usize,
    /// The listener strategy.
    pub listener: Choice,
    /// What a worker does with a request.
    pub respond: Respond,
    /// Length of the accept queue.
    pub backlog: u32,
    /// Handlers that may run at once in the instance.
    pub max_handlers: Option<u64>,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// From accept to the end of the request head.
    pub header_timeout: Duration,
    /// Longest time without a byte of the body.
    pub body_timeout: Duration,
    /// Longest run of a handler, in whole seconds (`alarm`).
    pub handler_timeout: Option<Duration>,
    /// How long a stop waits for running handlers.
    pub grace: Duration,
    /// Least level that is logged.
    pub log_level: tracing::Level,
    /// Form of the log lines.
    pub log_format: Format,
    /// Variables of the `[env]` table, handed to every handler.
    pub env: BTreeMap<String, String>,
}

/// More workers than this are taken for a slip of the finger.
pub const MAX_WORKERS: usize = 1024;

impl Settings {
    /// Address and port to bind.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }
}
