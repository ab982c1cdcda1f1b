//! The one list of settings. Each is an option of the command line, a `CAFFEINE_*` variable and a key of the configuration
//! file, of the same name and type.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::handler_limit::HandlerLimit;
use super::outcomes::Outcomes;
use super::values;
use crate::dist::{parse_duration, parse_size};
use crate::instance::Name;
use crate::listener::Choice;
use crate::server::logging::Format;
use crate::server::responders::Respond;

/// Settings as one source gives them. The doc comments are the help texts.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub struct Options {
    /// Port; 0 takes a free one [default: 8080]
    #[arg(short, long, allow_negative_numbers = true, value_parser = values::port, help_heading = "Server")]
    pub port: Option<u16>,
    /// Address, IPv4 or IPv6 [default: 0.0.0.0]
    #[arg(long, value_name = "ADDRESS", value_parser = values::address, help_heading = "Server")]
    pub bind: Option<IpAddr>,
    /// Worker processes [default: 4]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true, value_parser = values::whole::<usize>, help_heading = "Server")]
    pub workers: Option<usize>,
    /// How connections are spread [default: inherited]
    #[arg(long, value_name = "NAME[:ARG]", help_heading = "Server")]
    pub listener: Option<Choice>,
    /// Connections that a worker takes at once, at most [default: 1]
    #[arg(long, value_name = "N", value_parser = values::whole::<usize>, help_heading = "Server")]
    pub accept_batch: Option<usize>,
    /// How long a connection without data stays out of the accept queue, in whole seconds; 0s is off [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Server")]
    pub defer_accept: Option<Duration>,
    /// Keep each worker, and the handlers that it starts, on one CPU [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub pin: Option<bool>,
    /// What a worker does: cgi launches handlers; for measuring: fixed, sleep:DIST, spin:DIST [default: cgi]
    #[arg(long, value_name = "WHAT", help_heading = "Server")]
    pub respond: Option<Respond>,

    /// Directory of the handlers [default: ~/.config/caffeine/]
    #[arg(long, value_name = "DIR", help_heading = "Handlers")]
    pub path: Option<PathBuf>,

    /// When started by root: bind, then be this user (name or number)
    #[arg(long, value_name = "USER", help_heading = "Server")]
    pub user: Option<String>,
    /// The group to be in, if not the user's own
    #[arg(long, value_name = "GROUP", help_heading = "Server")]
    pub group: Option<String>,
    /// Never serve as root [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub refuse_root: Option<bool>,
    /// Let processes of the same user, handlers too, look into the server's memory and environment; for debuggers [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub dumpable: Option<bool>,
    /// Let handlers execute setuid programs (sudo, sendmail) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Handlers")]
    pub allow_setuid: Option<bool>,

    /// Name of the instance
    #[arg(short, long, help_heading = "Instances")]
    pub name: Option<Name>,
    /// Where instances live [default: ~/.local/state/caffeine]
    #[arg(long, value_name = "DIR", help_heading = "Instances")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file (TOML)
    #[arg(short, long, value_name = "FILE", help_heading = "Instances")]
    pub config: Option<PathBuf>,

    /// DEBUG, INFO, WARN or ERROR [default: INFO]
    #[arg(long, value_name = "LEVEL", value_parser = values::level, help_heading = "Logs")]
    pub log_level: Option<tracing::Level>,
    /// Form of the log lines: text or json [default: text]
    #[arg(long, value_name = "FORM", value_parser = values::log_format, help_heading = "Logs")]
    pub log_format: Option<Format>,

    /// Length of the accept queue [default: 4096]
    #[arg(long, value_name = "N", value_parser = values::whole::<u32>, help_heading = "Limits")]
    pub backlog: Option<u32>,
    /// Handlers at once; beyond it 503; 0 is no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_handlers: Option<u64>,
    /// For each handler: cpu=10s,memory=512M,processes=64,files=100
    #[arg(long, value_name = "LIMITS", help_heading = "Limits")]
    pub handler_limit: Option<HandlerLimit>,
    /// Slow connections at once; beyond it 503; 0 is no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_connections: Option<u64>,
    /// Largest request body [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub max_body: Option<u64>,
    /// Longest time without a byte of a request [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub idle_timeout: Option<Duration>,
    /// Time for a request's head, from its first byte on [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub header_timeout: Option<Duration>,
    /// Longest time without a byte of its body [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub body_timeout: Option<Duration>,
    /// Bytes per second of a body, on the whole; 0 is no limit [default: 500]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub min_rate: Option<u64>,
    /// Longest time in which a client takes nothing of its response; 0s is no limit [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub send_timeout: Option<Duration>,
    /// Longest run of a handler, in whole seconds; 0s is no limit [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub handler_timeout: Option<Duration>,
    /// Record how handlers end (exit code, signal, time): on, off, or auto, where another setting watches them [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Logs")]
    pub outcomes: Option<Outcomes>,
    /// How long a stop waits for handlers [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub grace: Option<Duration>,

    /// Variables for the handlers: only in the file.
    #[arg(skip)]
    pub env: BTreeMap<String, String>,
}
