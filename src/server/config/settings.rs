//! The settings of an instance, after the command line, the environment and the file were merged; and the copy of them in the
//! instance's directory.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::file;
use super::handler_limit::HandlerLimit;
use super::layers::Uses;
use super::options::Options;
use super::outcomes::Outcomes;
use super::values;
use crate::dist::format_duration;
use crate::instance::Name;
use crate::listener::{Choice, socket};
use crate::server::error::Error;
use crate::server::logging::Format;
use crate::server::responders::Respond;
use crate::sys::fs::open_regular;

/// Everything the supervisor needs. Complete: no field is looked up anywhere else later.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// The instance.
    #[serde(serialize_with = "display")]
    pub name: Name,
    /// Where instances live; ours is `state_dir/name`.
    pub state_dir: PathBuf,
    /// Base directory of the handlers, absolute.
    pub path: PathBuf,
    /// The user to serve as, by name or number, when started by root.
    pub user: Option<String>,
    /// The group, where it is not that user's own.
    pub group: Option<String>,
    /// Do not serve as root.
    pub refuse_root: bool,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 lets the kernel choose.
    pub port: u16,
    /// Worker processes, 1 to [`MAX_WORKERS`].
    pub workers: usize,
    /// The listener strategy.
    #[serde(serialize_with = "display")]
    pub listener: Choice,
    /// What a worker does with a request.
    #[serde(serialize_with = "display")]
    pub respond: Respond,
    /// Length of the accept queue.
    pub backlog: u32,
    /// Seconds that a connection without data is kept from the accept queue; 0 is not at all.
    #[serde(rename = "defer-accept", serialize_with = "seconds")]
    pub defer_accept_s: u32,
    /// Connections that a worker takes per wake-up, at most.
    pub accept_batch: usize,
    /// Whether each worker runs on one CPU only.
    pub pin: bool,
    /// Handlers that may run at once in the instance.
    pub max_handlers: Option<u64>,
    /// What one handler may use.
    pub handler_limit: Option<HandlerLimit>,
    /// Whether handlers can execute setuid programs.
    pub allow_setuid: bool,
    /// Whether other processes of the same user can look into the server.
    pub dumpable: bool,
    /// Connections that may wait for their clients at once in the instance.
    pub max_connections: Option<u64>,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// How long a connection may be open without a byte of a request.
    #[serde(serialize_with = "time")]
    pub idle_timeout: Duration,
    /// From the first byte to the end of the request head.
    #[serde(serialize_with = "time")]
    pub header_timeout: Duration,
    /// Longest time without a byte of the body.
    #[serde(serialize_with = "time")]
    pub body_timeout: Duration,
    /// Bytes per second that a body must have on the whole; 0 is none.
    pub min_rate: u64,
    /// How long a client may take nothing of its response, to the ms; 0 is for ever.
    #[serde(serialize_with = "time")]
    pub send_timeout: Duration,
    /// Longest run of a handler, in whole seconds (`alarm`).
    #[serde(serialize_with = "optional_time")]
    pub handler_timeout: Option<Duration>,
    /// Whether it is recorded how handlers end.
    #[serde(serialize_with = "display")]
    pub outcomes: Outcomes,
    /// How long a stop waits for running handlers.
    #[serde(serialize_with = "time")]
    pub grace: Duration,
    /// Least level that is logged.
    #[serde(serialize_with = "display")]
    pub log_level: tracing::Level,
    /// Form of the log lines.
    #[serde(serialize_with = "log_format")]
    pub log_format: Format,
    /// Variables of the `[env]` table, handed to every handler.
    pub env: BTreeMap<String, String>,
}

impl Settings {
    /// Address and port to bind.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// How listening sockets are made.
    pub fn terms(&self) -> socket::Terms {
        socket::Terms { backlog: self.backlog, defer_accept_s: self.defer_accept_s }
    }

    /// The settings as a configuration file, which [`recorded`] and `--config` read.
    pub fn to_toml(&self) -> String {
        // Paths were checked to be UTF-8 and numbers to fit, so every value can be written.
        toml::to_string(self).expect("settings fit into TOML")
    }

    /// Whether handlers are watched by a process of the instance: where they are counted, timed, or their ends recorded.
    pub fn needs_keeper(&self) -> bool {
        self.respond == Respond::Cgi
            && (self.max_handlers.is_some()
                || self.handler_timeout.is_some()
                || self.outcomes == Outcomes::On
                || self.listener.entry.counts_handlers)
    }

    /// Writes the settings to `path`, in place of older ones in one step.
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

/// What others want to know of a running instance. What another version wrote beside it is none of theirs.
const RECORDED: Uses = Uses::Only(&["bind", "listener", "grace", "path"]);

/// Some of the options in a file that [`Settings::save`] wrote.
///
/// # Errors
/// Those of any configuration file.
pub fn recorded(path: &Path) -> Result<Options, Error> {
    // A link in the folder must not choose another file to be read.
    file::read(path, libc::O_NOFOLLOW, RECORDED)
}

/// As [`recorded`]: the handlers' directory and their variables.
pub fn recorded_for_handlers(path: &Path) -> Result<Options, Error> {
    file::read(path, libc::O_NOFOLLOW, Uses::Only(&["path", "env"]))
}

fn display<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn time<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format_duration(*time))
}

#[allow(clippy::ref_option)] // serde's signature
fn optional_time<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
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
