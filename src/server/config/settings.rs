//! The settings of an instance, after the command line, the environment and the file were merged; and the copy of them in the
//! instance's directory.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::file;
use super::handler_limit::HandlerLimit;
use super::layers::Uses;
use super::mounts::{Mount, StaticFiles};
use super::options::Options;
use super::outcomes::Outcomes;
use super::values;
use crate::cgi::response::Response;
use crate::dist::format_duration;
use crate::http::forwarded::{Proxies, Proxy};
use crate::instance::Name;
use crate::listener::address::{Address, Bind};
use crate::listener::{Choice, socket};
use crate::server::error::Error;
use crate::server::logging::{Format, LogTo, access};
use crate::server::responders::Respond;
use crate::sys::fs::open_regular;

/// Complete: no setting is looked up anywhere else later.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    #[serde(serialize_with = "display")]
    pub name: Name,
    /// Directory of instances; this one is `state_dir/name`.
    pub state_dir: PathBuf,
    /// Directory of the handlers, absolute.
    pub path: PathBuf,
    /// User to switch to, by name or number, when started as root.
    pub user: Option<String>,
    /// Group to switch to, if not the user's own.
    pub group: Option<String>,
    pub refuse_root: bool,
    #[serde(serialize_with = "display")]
    pub bind: Bind,
    /// 0 lets the kernel choose; also 0 with a unix socket.
    #[serde(skip_serializing_if = "is_none")]
    pub port: u16,
    /// Permissions of a unix socket.
    #[serde(serialize_with = "mode")]
    pub socket_mode: Option<u32>,
    /// Its owner: USER, USER:GROUP or :GROUP.
    pub socket_owner: Option<String>,
    /// Who may speak for clients.
    #[serde(serialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxy: Vec<Proxy>,
    /// The field in which such a proxy names the user.
    pub remote_user_header: Option<String>,
    /// 1 to [`MAX_WORKERS`](super::MAX_WORKERS).
    pub workers: usize,
    #[serde(serialize_with = "display")]
    pub listener: Choice,
    #[serde(serialize_with = "display")]
    pub respond: Respond,
    /// The kind of response that handlers write.
    pub response: Response,
    /// Of what workers draw, at most `i64::MAX`; without it they draw other times at every start.
    pub seed: Option<u64>,
    pub backlog: u32,
    /// Seconds that a connection without data is kept out of the accept queue; 0 disables it.
    #[serde(rename = "defer-accept", serialize_with = "seconds")]
    pub defer_accept_s: u32,
    /// Most connections that a worker accepts per wake-up.
    pub accept_batch: usize,
    pub pin: bool,
    /// Most handlers at once in the instance.
    pub max_handlers: Option<u64>,
    pub handler_limit: Option<HandlerLimit>,
    pub allow_setuid: bool,
    /// Whether other processes of the same user can read the server's memory.
    pub dumpable: bool,
    /// Most slow connections at once in the instance.
    pub max_connections: Option<u64>,
    /// Most slow connections, and as many running handlers, of one client address.
    pub max_per_client: Option<u64>,
    /// In bytes.
    pub max_body: u64,
    /// Most memory for request bodies that are arriving, in bytes.
    pub max_body_memory: Option<u64>,
    /// Longest time without a byte of a request.
    #[serde(serialize_with = "time")]
    pub idle_timeout: Duration,
    /// From the first byte to the end of the request head.
    #[serde(serialize_with = "time")]
    pub header_timeout: Duration,
    /// Longest time without a byte of the body.
    #[serde(serialize_with = "time")]
    pub body_timeout: Duration,
    /// Least average rate of a body in bytes per second; 0 means no limit.
    pub min_rate: u64,
    /// Longest time in which a client reads nothing, to the ms; 0 means no limit.
    #[serde(serialize_with = "time")]
    pub send_timeout: Duration,
    /// In whole seconds (`alarm`).
    #[serde(serialize_with = "optional_time")]
    pub handler_timeout: Option<Duration>,
    #[serde(serialize_with = "display")]
    pub outcomes: Outcomes,
    #[serde(serialize_with = "time")]
    pub grace: Duration,
    #[serde(serialize_with = "display")]
    pub log_level: tracing::Level,
    #[serde(serialize_with = "log_format")]
    pub log_format: Format,
    /// `None`: as the start was.
    #[serde(serialize_with = "optional_display")]
    pub log_to: Option<LogTo>,
    #[serde(serialize_with = "display")]
    pub access_log: access::Form,
    /// `None`: in the directory of the instance.
    pub access_log_file: Option<PathBuf>,
    /// Most bytes of each log file.
    pub log_size: Option<u64>,
    /// Variables of the `[env]` table, for every handler.
    pub env: BTreeMap<String, String>,
    pub mount: Vec<Mount>,
    #[serde(rename = "static")]
    pub files: Vec<StaticFiles>,
}

impl Settings {
    pub fn address(&self) -> Address {
        self.bind.clone().at(self.port)
    }

    /// Parameters of listening sockets.
    pub fn terms(&self) -> socket::Terms {
        socket::Terms { backlog: self.backlog, defer_accept_s: self.defer_accept_s }
    }

    /// Who may speak for clients, as the workers need it.
    pub fn proxies(&self) -> Proxies {
        Proxies::new(self.trusted_proxy.clone(), self.remote_user_header.clone())
    }

    /// The settings as a configuration file, which [`recorded`] and `--config` read.
    pub fn to_toml(&self) -> String {
        // Paths were checked to be UTF-8 and numbers to fit, so every value can be written.
        toml::to_string(self).expect("settings fit into TOML")
    }

    /// Whether a keeper is needed: to count handlers, to time them out, to record how they end, or to relay responses.
    pub fn needs_keeper(&self) -> bool {
        self.respond == Respond::Cgi
            && (self.relays()
                || self.max_handlers.is_some()
                || self.max_per_client.is_some()
                || self.has_timeouts()
                || self.mounts_are_watched()
                || self.outcomes == Outcomes::On
                || self.listener.entry.counts_handlers)
    }

    /// Writes the settings to `path`, replacing the file atomically.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let temporary = path.with_extension("new");
        // The [env] table may hold secrets.
        let write = || {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = open_regular(options, &temporary, libc::O_NOFOLLOW)?;
            file.write_all(self.to_toml().as_bytes())?;
            std::fs::rename(&temporary, path)
        };
        write().map_err(|error| Error::Failed(format!("cannot write {}: {error}", path.display())))
    }
}

/// Settings that other commands read from a running instance's file; its other settings may be those of another
/// version.
const RECORDED: Uses = Uses::Only(&["bind", "listener", "grace", "path", "log_to", "access_log_file"]);

/// Reads some of the options that [`Settings::save`] wrote.
///
/// # Errors
/// Those of any configuration file.
pub fn recorded(path: &Path) -> Result<Options, Error> {
    // A link in the directory must not choose another file.
    file::read(path, libc::O_NOFOLLOW, RECORDED)
}

/// Like [`recorded`], for the handlers' directory and variables.
pub fn recorded_for_handlers(path: &Path) -> Result<Options, Error> {
    file::read(path, libc::O_NOFOLLOW, Uses::Only(&["path", "env"]))
}

/// Where the mounts of an instance are; none if its file cannot be read as that of this version.
pub fn recorded_mounts(path: &Path) -> Vec<String> {
    let options = file::read(path, libc::O_NOFOLLOW, Uses::Only(&["env", "mount"])).unwrap_or_default();
    let files = options.files.into_iter().map(|files| files.at);
    options.mount.into_iter().map(|mount| mount.at).chain(files).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_none(port: &u16) -> bool {
    *port == 0
}

#[allow(clippy::ref_option)]
fn mode<S: Serializer>(mode: &Option<u32>, to: S) -> Result<S::Ok, S::Error> {
    mode.map(|mode| format!("{mode:04o}")).serialize(to)
}

fn display<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn texts<S: Serializer>(values: &[impl std::fmt::Display], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(ToString::to_string))
}

#[allow(clippy::ref_option)] // serde's signature
fn optional_display<S: Serializer>(value: &Option<impl std::fmt::Display>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(to)
}

fn time<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format_duration(*time))
}

#[allow(clippy::ref_option)] // serde's signature
pub(super) fn optional_time<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(format_duration).serialize(to)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn seconds<S: Serializer>(seconds: &u32, to: S) -> Result<S::Ok, S::Error> {
    time(&Duration::from_secs((*seconds).into()), to)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn log_format<S: Serializer>(format: &Format, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(values::log_format_text(*format))
}
