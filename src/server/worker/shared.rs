//! State that both threads of a worker share. It lives as long as the process.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::descriptors::Descriptors;
use super::handler_queue::HandlerQueue;
use super::handler_watch::HandlerWatch;
use super::timer::Timer;
use crate::cgi::stderr::Pipes;
use crate::http::forwarded::Proxies;
use crate::http::limits::Limits;
use crate::scoreboard::{Row, Scoreboard};
use crate::server::config::Settings;
use crate::server::responders::Occupy;

#[derive(Debug)]
pub struct Shared {
    pub settings: Settings,
    pub limits: Limits,
    /// Who may speak for clients.
    pub proxies: Proxies,
    pub board: &'static Scoreboard,
    pub slot: usize,
    pub number: usize,
    pub nofile: Option<(u64, u64)>,
    pub stderr: Pipes,
    pub leases: OwnedFd,
    /// `SERVER_NAME` for a client that sends no host.
    pub server_name: String,
    pub descriptors: Descriptors,
    pub spool_directory: PathBuf,
    pub timer: Timer,
    /// Connections that the second thread holds, those of queued requests included.
    pub pending: AtomicUsize,
    /// Requests that wait for a handler slot.
    pub queue: HandlerQueue,
    /// Places of the mounts among their counts.
    pub places: Vec<u16>,
    /// Reports launches to the keeper, if the settings need one.
    pub watch: Option<HandlerWatch>,
    /// Delays a measuring answer; behind a lock, because a worker delays one request at a time.
    pub occupy: Option<Mutex<Occupy>>,
}

impl Shared {
    pub fn row(&self) -> &Row {
        self.board.row(self.slot)
    }
}
