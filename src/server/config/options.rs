//! The one list of settings. Each is an option of the command line, a `CAFFEINE_*` variable and a key of the configuration
//! file, of the same name and type.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::handler_limit::HandlerLimit;
use super::mounts::{Mount, StaticFiles};
use super::outcomes::Outcomes;
use super::values;
use crate::cgi::response::Response;
use crate::dist::{parse_duration, parse_size};
use crate::http::forwarded::Proxy;
use crate::instance::Name;
use crate::listener::Choice;
use crate::listener::address::Bind;
use crate::server::logging::{Format, LogTo, access};
use crate::server::responders::Respond;

/// The settings that one source gives. Doc comments of fields are the help texts.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub struct Options {
    /// Port; 0 chooses a free one [default: 8080]
    #[arg(short, long, allow_negative_numbers = true, value_parser = values::port, help_heading = "Server")]
    pub port: Option<u16>,
    /// Address to listen on, IPv4 or IPv6, or a unix socket: unix:PATH [default: 0.0.0.0]
    #[arg(long, value_name = "ADDRESS", help_heading = "Server")]
    pub bind: Option<Bind>,
    /// Permissions of the unix socket, in octal [default: 0660]
    #[arg(long, value_name = "MODE", value_parser = values::mode, help_heading = "Server")]
    pub socket_mode: Option<u32>,
    /// Owner of the unix socket: USER, USER:GROUP or :GROUP [default: the user that serves]
    #[arg(long, value_name = "OWNER", help_heading = "Server")]
    pub socket_owner: Option<String>,
    /// Proxy that is believed when it names its client (X-Forwarded-For, X-Forwarded-Proto): an address, a network such as 10.0.0.0/8, or unix for the peers of a unix socket; may be repeated
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = "Server")]
    pub trusted_proxy: Vec<Proxy>,
    /// Header field in which a trusted proxy names the user that it has authenticated, which becomes REMOTE_USER
    #[arg(long, value_name = "NAME", value_parser = values::field_name, help_heading = "Server")]
    pub remote_user_header: Option<String>,
    /// Number of worker processes [default: 4]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = values::whole::<usize>, help_heading = "Server")]
    pub workers: Option<usize>,
    /// How connections are distributed [default: inherited]
    #[arg(long, value_name = "NAME[:ARG]", help_heading = "Server")]
    pub listener: Option<Choice>,
    /// Most connections a worker accepts per wake-up [default: 1]
    #[arg(long, value_name = "N", value_parser = values::whole::<usize>, help_heading = "Server")]
    pub accept_batch: Option<usize>,
    /// Keep a connection without data out of the accept queue for this long, in whole seconds; 0s disables it [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Server")]
    pub defer_accept: Option<Duration>,
    /// Pin each worker and its handlers to one CPU [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub pin: Option<bool>,
    /// How a worker responds: cgi starts handlers; fixed, sleep:DIST and spin:DIST are for measuring [default: cgi]
    #[arg(long, value_name = "WHAT", help_heading = "Server")]
    pub respond: Option<Respond>,
    /// Seed of the times that sleep:DIST and spin:DIST draw: the same seed, the same times [default: other times at every start]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Server")]
    pub seed: Option<u64>,

    /// Directory of the handlers [default: ~/.config/caffeine/]
    #[arg(long, value_name = "DIR", help_heading = "Handlers")]
    pub path: Option<PathBuf>,

    /// What handlers write: native, a whole HTTP response; document, a CGI response that begins with header fields; auto: decided by the first bytes [default: native]
    #[arg(long, value_name = "KIND", help_heading = "Handlers")]
    pub response: Option<Response>,

    /// When started as root: bind, then switch to this user (name or number)
    #[arg(long, value_name = "USER", help_heading = "Server")]
    pub user: Option<String>,
    /// Group to switch to, if not the user's own
    #[arg(long, value_name = "GROUP", help_heading = "Server")]
    pub group: Option<String>,
    /// Refuse to run as root [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub refuse_root: Option<bool>,
    /// Let other processes of the same user, including handlers, read the server's memory and environment, for example with a debugger [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub dumpable: Option<bool>,
    /// Let handlers run setuid programs such as sudo and sendmail [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Handlers")]
    pub allow_setuid: Option<bool>,

    /// Name of the instance
    #[arg(short, long, help_heading = "Instances")]
    pub name: Option<Name>,
    /// Directory of instances [default: ~/.local/state/caffeine]
    #[arg(long, value_name = "DIR", help_heading = "Instances")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file (TOML)
    #[arg(short, long, value_name = "FILE", help_heading = "Instances")]
    pub config: Option<PathBuf>,

    /// DEBUG, INFO, WARN or ERROR [default: INFO]
    #[arg(long, value_name = "LEVEL", value_parser = values::level, help_heading = "Logs")]
    pub log_level: Option<tracing::Level>,
    /// Format of the log lines: text or json [default: text]
    #[arg(long, value_name = "FORM", value_parser = values::log_format, help_heading = "Logs")]
    pub log_format: Option<Format>,
    /// Where log lines go: file, stderr or both [default: both in the foreground, file with --daemon]
    #[arg(long, value_name = "WHERE", help_heading = "Logs")]
    pub log_to: Option<LogTo>,
    /// Log each request to a file of its own: combined, json or off [default: off]
    #[arg(long, value_name = "FORM", help_heading = "Logs")]
    pub access_log: Option<access::Form>,
    /// File of the access log [default: access.log in the directory of the instance]
    #[arg(long, value_name = "FILE", help_heading = "Logs")]
    pub access_log_file: Option<PathBuf>,

    /// Most of each log file: beyond it the file is renamed to FILE.1, and a new one begins; 0 means no limit [default: 0]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Logs")]
    pub log_size: Option<u64>,

    /// Length of the accept queue [default: 4096]
    #[arg(long, value_name = "N", value_parser = values::whole::<u32>, help_heading = "Limits")]
    pub backlog: Option<u32>,
    /// Most handlers at once; answer 503 beyond it; 0 means no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_handlers: Option<u64>,
    /// Resource limits of each handler: cpu=10s,memory=512M,processes=64,files=100
    #[arg(long, value_name = "LIMITS", help_heading = "Limits")]
    pub handler_limit: Option<HandlerLimit>,
    /// Most slow connections at once; answer 503 beyond it; 0 means no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_connections: Option<u64>,
    /// Most slow connections, and as many handlers, of one client address (IPv6: of a /64) at once; answer 429 beyond it; 0 means no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_per_client: Option<u64>,
    /// Largest request body [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub max_body: Option<u64>,
    /// Most memory for request bodies that are arriving; answer 503 beyond it; 0 means no limit [default: 0]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub max_body_memory: Option<u64>,
    /// Close a connection that sends no byte of a request for this long [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub idle_timeout: Option<Duration>,
    /// Answer 408 if a request head takes longer than this from its first byte [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub header_timeout: Option<Duration>,
    /// Answer 408 if no byte of the body arrives for this long [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub body_timeout: Option<Duration>,
    /// Least average rate of a body in bytes per second; 0 means no limit [default: 500]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub min_rate: Option<u64>,
    /// Close when the client has read nothing for this long; 0s means no limit [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub send_timeout: Option<Duration>,
    /// Stop a handler after this time, in whole seconds; 0s means no limit [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub handler_timeout: Option<Duration>,
    /// Record how handlers end (exit code, signal, duration): on, off, or auto: if another setting watches them [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Logs")]
    pub outcomes: Option<Outcomes>,
    /// Time that a stop waits for running handlers [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub grace: Option<Duration>,

    /// Variables for the handlers. Only the file has them.
    #[arg(skip)]
    pub env: BTreeMap<String, String>,
    /// Mounts, and files to serve. Only the file has them.
    #[arg(skip)]
    pub mount: Vec<Mount>,
    #[arg(skip)]
    pub files: Vec<StaticFiles>,
}
