//! The command line: what was typed, and nothing of what it means. clap ends here.
//!
//! [`Options`] is the one list of settings: each is an option, a `CAFFEINE_*` variable and a key of the
//! configuration file, of the same name and type.

mod layers;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, CommandFactory, Parser};
use serde::{Serialize, Serializer};

use crate::dist::{format_duration, parse_duration, parse_size};
use crate::instance::Name;
use crate::listener::{Choice, STRATEGIES};
use crate::server::handler_limit::HandlerLimit;
use crate::server::logging::Format;
use crate::server::outcomes::Outcomes;
use crate::server::responders::Respond;
use crate::server::values;

pub use layers::{Layers, Parsed, Uses, parse};

const AFTER_HELP: &str = "\
Each setting can also stand in the environment (CAFFEINE_PORT=8080) or in the configuration file \
(port = 8080); the command line counts before the environment, that before the file. The file alone has \
a table [env] of variables for the handlers.

First steps:
  caffeine --deploy hello       put a handler into ~/.config/caffeine/
  caffeine                      serve it: http://localhost:8080/hello
  caffeine -n lab -p 8081 -D    another instance, in the background
  caffeine -n lab -l -f         watch its log
  caffeine -n lab -s            stop it

Signals: TERM and INT stop gracefully, QUIT at once, HUP reloads, USR1 reopens the log.

Files:
  ~/.config/caffeine/           handlers
  ~/.local/state/caffeine/NAME/ an instance: pid, log, scoreboard,
                                config.toml as resolved

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Serves programs over HTTP: pre-forked workers, and one disposable process per request.
#[derive(Debug, Parser)]
#[command(name = "caffeine", version, after_help = AFTER_HELP, max_term_width = 80, disable_help_flag = true, disable_version_flag = true)]
struct Typed {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    actions: Actions,
    /// With --log: go on printing as the log grows
    #[arg(short, long, help_heading = "Logs")]
    follow: bool,
    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version, help_heading = "About")]
    version: Option<bool>,
    /// Print this help
    #[arg(short, long, action = clap::ArgAction::HelpShort, help_heading = "About")]
    help: Option<bool>,
}

/// One of these at most; without any, the server starts in the foreground.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Actions {
    /// Run in the background; return when the workers listen, or say why they do not
    #[arg(short = 'D', long, help_heading = "Instances")]
    daemon: bool,
    /// Stop the named instance and wait until it is gone
    #[arg(short, long, help_heading = "Instances")]
    stop: bool,
    /// List the running instances
    #[arg(short = 'L', long, help_heading = "Instances")]
    list_instances: bool,
    /// Show the counters of the named instance's workers, live on a terminal
    #[arg(long, help_heading = "Instances")]
    status: bool,
    /// Let the named instance read its configuration again, without losing a connection
    #[arg(long, help_heading = "Instances")]
    reload: bool,
    /// Remove the folder of an instance that was stopped, with its log
    #[arg(long, value_name = "NAME", help_heading = "Instances")]
    forget: Option<Name>,
    /// Say whether the settings are sound, and start nothing
    #[arg(long, help_heading = "Instances")]
    check_config: bool,
    /// Copy a handler or a directory of handlers to the named instance, to --path, or to the default directory
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Handlers")]
    deploy: Option<PathBuf>,
    /// Print the log of the named instance
    #[arg(short, long, help_heading = "Logs")]
    log: bool,
    /// Empty the log of the named instance, also while it runs
    #[arg(long, help_heading = "Logs")]
    reset_logs: bool,
    /// Print the completions for a shell
    #[arg(long, value_name = "SHELL", help_heading = "About")]
    completions: Option<clap_complete::Shell>,
    /// Print the manual page
    #[arg(long, help_heading = "About")]
    man: bool,
}

/// The settings, each of which may be missing.
#[derive(Clone, Debug, Default, Args, Serialize)]
#[group(skip)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the help texts say it
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
    #[serde(serialize_with = "display")]
    pub listener: Option<Choice>,
    /// Connections that a worker takes at once, at most [default: 1]
    #[arg(long, value_name = "N", value_parser = values::whole::<usize>, help_heading = "Server")]
    pub accept_batch: Option<usize>,
    /// How long a connection without data stays out of the accept queue, in whole seconds; 0s is off [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Server")]
    #[serde(serialize_with = "time_text")]
    pub defer_accept: Option<Duration>,
    /// Keep each worker, and the handlers that it starts, on one CPU [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Server")]
    pub pin: Option<bool>,
    /// What a worker does: cgi launches handlers; for measuring: fixed, sleep:DIST, spin:DIST [default: cgi]
    #[arg(long, value_name = "WHAT", help_heading = "Server")]
    #[serde(serialize_with = "display")]
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
    #[serde(serialize_with = "display")]
    pub name: Option<Name>,
    /// Where instances live [default: ~/.local/state/caffeine]
    #[arg(long, value_name = "DIR", help_heading = "Instances")]
    pub state_dir: Option<PathBuf>,
    /// Configuration file (TOML)
    #[arg(short, long, value_name = "FILE", help_heading = "Instances")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// DEBUG, INFO, WARN or ERROR [default: INFO]
    #[arg(long, value_name = "LEVEL", value_parser = values::level, help_heading = "Logs")]
    #[serde(serialize_with = "display")]
    pub log_level: Option<tracing::Level>,
    /// Form of the log lines: text or json [default: text]
    #[arg(long, value_name = "FORM", value_parser = values::log_format, help_heading = "Logs")]
    #[serde(serialize_with = "log_format_text")]
    pub log_format: Option<Format>,

    /// Length of the accept queue [default: 4096]
    #[arg(long, value_name = "N", value_parser = values::whole::<u32>, help_heading = "Limits")]
    pub backlog: Option<u32>,
    /// Handlers at once; beyond it 503; 0 is no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_handlers: Option<u64>,
    /// For each handler: cpu=10s,memory=512M,processes=64,files=100
    #[arg(long, value_name = "LIMITS", help_heading = "Limits")]
    #[serde(serialize_with = "display")]
    pub handler_limit: Option<HandlerLimit>,
    /// Slow connections at once; beyond it 503; 0 is no limit [default: 0]
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>, help_heading = "Limits")]
    pub max_connections: Option<u64>,
    /// Largest request body [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub max_body: Option<u64>,
    /// Longest time without a byte of a request [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    #[serde(serialize_with = "time_text")]
    pub idle_timeout: Option<Duration>,
    /// Time for a request's head, from its first byte on [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    #[serde(serialize_with = "time_text")]
    pub header_timeout: Option<Duration>,
    /// Longest time without a byte of its body [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    #[serde(serialize_with = "time_text")]
    pub body_timeout: Option<Duration>,
    /// Bytes per second of a body, on the whole; 0 is no limit [default: 500]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub min_rate: Option<u64>,
    /// Longest time in which a client takes nothing of its response; 0s is no limit [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    #[serde(serialize_with = "time_text")]
    pub send_timeout: Option<Duration>,
    /// Longest run of a handler, in whole seconds; 0s is no limit [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    #[serde(serialize_with = "time_text")]
    pub handler_timeout: Option<Duration>,
    /// Record how handlers end (exit code, signal, time): on, off, or auto, where another setting watches them [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Logs")]
    #[serde(deserialize_with = "text", serialize_with = "display")]
    pub outcomes: Option<Outcomes>,
    /// How long a stop waits for handlers [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    #[serde(serialize_with = "time_text")]
    pub grace: Option<Duration>,

    /// Variables for the handlers: only in the file.
    #[arg(skip)]
    pub env: BTreeMap<String, String>,
}

/// What the program is to do.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as on the command line
pub enum Action {
    Start { daemon: bool },
    Stop,
    ListInstances,
    Status,
    Reload,
    Forget(Name),
    CheckConfig,
    Deploy(PathBuf),
    Log { follow: bool },
    ResetLogs,
    Completions(clap_complete::Shell),
    Man,
}

/// The definition, for completions and the manual page. The strategies are those of the table.
pub fn command() -> Command {
    let names: Vec<_> = STRATEGIES.iter().map(|entry| entry.name).collect();
    let help = format!(
        "How connections are spread; `help` explains: {} [default: {}]",
        names.join(", "),
        Choice::default()
    );
    Typed::command().mut_arg("listener", |listener| listener.help(help))
}

impl Typed {
    fn action(self) -> Action {
        match self.actions {
            Actions { stop: true, .. } => Action::Stop,
            Actions { list_instances: true, .. } => Action::ListInstances,
            Actions { status: true, .. } => Action::Status,
            Actions { reload: true, .. } => Action::Reload,
            Actions { forget: Some(name), .. } => Action::Forget(name),
            Actions { check_config: true, .. } => Action::CheckConfig,
            Actions { deploy: Some(source), .. } => Action::Deploy(source),
            Actions { log: true, .. } => Action::Log { follow: self.follow },
            Actions { reset_logs: true, .. } => Action::ResetLogs,
            Actions { completions: Some(shell), .. } => Action::Completions(shell),
            Actions { man: true, .. } => Action::Man,
            Actions { daemon, .. } => Action::Start { daemon },
        }
    }
}

impl Action {
    /// The settings that it uses. A value of another one, good or bad, is not looked at.
    pub fn uses(&self) -> Uses {
        match self {
            Self::Start { .. } | Self::CheckConfig => Uses::All,
            Self::ListInstances | Self::Forget(_) => Uses::Only(&["config", "state_dir"]),
            Self::Deploy(_) => Uses::Only(&["config", "state_dir", "name", "path", "env"]),
            Self::Stop | Self::Status | Self::Reload | Self::Log { .. } | Self::ResetLogs => {
                Uses::Only(&["config", "state_dir", "name"])
            }
            Self::Completions(_) | Self::Man => Uses::Only(&[]),
        }
    }
}

fn display<S: Serializer, T: std::fmt::Display>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(T::to_string).serialize(to)
}

#[allow(clippy::ref_option)] // serde's signature
fn time_text<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(format_duration).serialize(to)
}

#[allow(clippy::ref_option)]
fn log_format_text<S: Serializer>(format: &Option<Format>, to: S) -> Result<S::Ok, S::Error> {
    format.map(values::log_format_text).serialize(to)
}
