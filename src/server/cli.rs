//! The command line: what was typed, parsed by clap. Nothing else in the server knows clap's definitions of actions.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};

use crate::instance::Name;
use crate::listener::{Choice, STRATEGIES, table};
use crate::server::builtin::Builtin;
use crate::server::config::{Layers, Options, Uses, one_line};
use crate::server::error::Error;

const AFTER_HELP: &str = "\
Each setting can also be given in the environment (CAFFEINE_PORT=8080) or in the configuration file \
(port = 8080). The command line overrides the environment, which overrides the file. Only the file can hold \
a table [env] with variables for the handlers.

First steps:
  caffeine --deploy hello       copy a handler to ~/.config/caffeine/
  caffeine                      serve it: http://localhost:8080/hello
  caffeine -n lab -p 8081 -D    another instance, in the background
  caffeine -n lab -l -f         watch its log
  caffeine -n lab -s            stop it

Signals: TERM and INT stop gracefully, QUIT stops at once, HUP reloads, USR1 reopens the log.

Files:
  ~/.config/caffeine/           handlers
  ~/.local/state/caffeine/NAME/ one instance: pid, log, scoreboard,
                                config.toml (all settings in effect)

Exit codes: 0 success, 1 failure, 2 usage error.";

/// Serve programs over HTTP with pre-forked workers and one disposable process per request
#[derive(Debug, Parser)]
#[command(name = "caffeine", version, after_help = AFTER_HELP, max_term_width = 80, disable_help_flag = true, disable_version_flag = true)]
struct Typed {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    actions: Actions,
    /// With --list-instances or --status: print JSON
    #[arg(long, help_heading = "Instances")]
    json: bool,
    /// With --log: keep printing as the log grows
    #[arg(short, long, help_heading = "Logs")]
    follow: bool,
    /// With --log: print the access log instead
    #[arg(long, help_heading = "Logs")]
    access: bool,
    /// Print version
    #[arg(short = 'V', long, action = clap::ArgAction::Version, help_heading = "About")]
    version: Option<bool>,
    /// Print help: -h the usual options, --help all
    #[arg(short, long, action = clap::ArgAction::HelpShort, help_heading = "About")]
    help: Option<bool>,
}

/// At most one of these; without any, the server starts in the foreground.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Actions {
    /// Run in the background; return when the workers accept, or report why they do not
    #[arg(short = 'D', long, help_heading = "Instances")]
    daemon: bool,
    /// Stop the named instance and wait until it has ended
    #[arg(short, long, help_heading = "Instances")]
    stop: bool,
    /// List the running instances
    #[arg(short = 'L', long, help_heading = "Instances")]
    list_instances: bool,
    /// Show the counters of the named instance's workers, live on a terminal
    #[arg(long, help_heading = "Instances")]
    status: bool,
    /// Print the counters of the named instance in the OpenMetrics format, for Prometheus
    #[arg(long, help_heading = "Instances")]
    metrics: bool,
    /// Reload the configuration of the named instance without losing a connection
    #[arg(long, help_heading = "Instances")]
    reload: bool,
    /// Remove the directory and log of a stopped instance
    #[arg(long, value_name = "NAME", help_heading = "Instances")]
    forget: Option<Name>,
    /// Check the settings without starting anything
    #[arg(long, help_heading = "Instances")]
    check_config: bool,
    /// Copy a handler or a directory of handlers to the named instance, to --path or to the default directory
    #[arg(short, long, value_name = "FILE|DIR", help_heading = "Handlers")]
    deploy: Option<PathBuf>,
    /// Put a handler that comes with the server into place: metrics (for Prometheus) or live (a page of counters)
    #[arg(long, value_name = "NAME", help_heading = "Handlers")]
    deploy_builtin: Option<Builtin>,
    /// Run a handler for one request and say what is wrong with it
    #[arg(long = "try", value_name = "FILE", help_heading = "Handlers")]
    try_one: Option<PathBuf>,
    /// Print the log of the named instance
    #[arg(short, long, help_heading = "Logs")]
    log: bool,
    /// Empty the log of the named instance, even while it runs
    #[arg(long, help_heading = "Logs")]
    reset_logs: bool,
    /// Print completions for a shell
    #[arg(long, value_name = "SHELL", help_heading = "About")]
    completions: Option<clap_complete::Shell>,
    /// Print the manual page
    #[arg(long, help_heading = "About")]
    man: bool,
}

#[derive(Clone, Debug)]
pub enum Action {
    Start { daemon: bool },
    Stop,
    ListInstances { json: bool },
    Status { json: bool },
    Metrics,
    Reload,
    Forget(Name),
    CheckConfig,
    Deploy(PathBuf),
    DeployBuiltin(Builtin),
    Try(PathBuf),
    Log { access: bool, follow: bool },
    ResetLogs,
    Completions(clap_complete::Shell),
    Man,
}

/// The command's definition, with the strategies of the table, also for completions and the manual page.
pub fn command() -> Command {
    let names: Vec<_> = STRATEGIES.iter().map(|entry| entry.name).collect();
    let help = format!(
        "How connections are distributed; `help` explains: {} [default: {}]",
        names.join(", "),
        Choice::default()
    );
    Typed::command().mut_arg("listener", |listener| listener.help(help))
}

/// The options that `-h` shows.
const USUAL: &[&str] = &[
    "port",
    "bind",
    "workers",
    "listener",
    "path",
    "name",
    "config",
    "daemon",
    "stop",
    "list_instances",
    "status",
    "reload",
    "deploy",
    "try_one",
    "log",
    "follow",
    "reset_logs",
    "log_level",
    "access_log",
    "max_handlers",
    "response",
    "handler_timeout",
    "version",
    "help",
];

const AFTER_BRIEF: &str = "`caffeine --help` prints all options, `caffeine --man | man -l -` the manual.";

/// The command with the options that most people need.
fn brief() -> Command {
    let hidden = |option: clap::Arg| {
        let usual = USUAL.contains(&option.get_id().as_str());
        option.hide(!usual)
    };
    command().mut_args(hidden).after_help(AFTER_BRIEF)
}

impl Typed {
    fn action(self) -> Action {
        match self.actions {
            Actions { stop: true, .. } => Action::Stop,
            Actions { list_instances: true, .. } => Action::ListInstances { json: self.json },
            Actions { status: true, .. } => Action::Status { json: self.json },
            Actions { metrics: true, .. } => Action::Metrics,
            Actions { reload: true, .. } => Action::Reload,
            Actions { forget: Some(name), .. } => Action::Forget(name),
            Actions { check_config: true, .. } => Action::CheckConfig,
            Actions { deploy: Some(source), .. } => Action::Deploy(source),
            Actions { deploy_builtin: Some(builtin), .. } => Action::DeployBuiltin(builtin),
            Actions { try_one: Some(handler), .. } => Action::Try(handler),
            Actions { log: true, .. } => Action::Log { access: self.access, follow: self.follow },
            Actions { reset_logs: true, .. } => Action::ResetLogs,
            Actions { completions: Some(shell), .. } => Action::Completions(shell),
            Actions { man: true, .. } => Action::Man,
            Actions { daemon, .. } => Action::Start { daemon },
        }
    }
}

impl Action {
    /// The settings that the action uses. Others are not checked.
    pub fn uses(&self) -> Uses {
        match self {
            Self::Start { .. } | Self::CheckConfig => Uses::All,
            Self::ListInstances { .. } | Self::Forget(_) => Uses::Only(&["config", "state_dir"]),
            Self::Deploy(_) | Self::DeployBuiltin(_) => {
                Uses::Only(&["config", "state_dir", "name", "path", "env"])
            }
            Self::Try(_) => {
                Uses::Only(&["config", "port", "response", "allow_setuid", "handler_limit", "env", "mount"])
            }
            Self::Stop
            | Self::Status { .. }
            | Self::Metrics
            | Self::Reload
            | Self::Log { .. }
            | Self::ResetLogs => Uses::Only(&["config", "state_dir", "name"]),
            Self::Completions(_) | Self::Man => Uses::Only(&[]),
        }
    }
}

#[derive(Debug)]
pub enum Parsed {
    Act(Action, Box<Layers>),
    /// Print this (help or version) and exit.
    Print(String),
}

/// Parses the command line, and the `CAFFEINE_*` variables that are settings. Other variables are ignored; empty ones
/// count as unset.
///
/// # Errors
/// [`Error::Usage`].
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Parsed, Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if asks_for_strategies(&arguments) {
        return Ok(Parsed::Print(table::text()));
    }
    let asked = arguments.clone();
    let typed = match command().try_get_matches_from(arguments) {
        Ok(typed) => typed,
        Err(error) if error.kind() == ErrorKind::DisplayHelp && !asks_for_all(&asked) => {
            return Ok(Parsed::Print(brief().render_help().to_string()));
        }
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Parsed::Print(error.render().to_string()));
        }
        Err(error) => return Err(Error::Usage(format!("{}; try `caffeine --help`", one_line(&error)))),
    };
    let all = Typed::from_arg_matches(&typed).map_err(|error| Error::Usage(one_line(&error)))?;
    for (given, option) in [(all.follow, "--follow"), (all.access, "--access")] {
        if given && !all.actions.log {
            return Err(Error::Usage(format!(
                "{option} requires --log: `caffeine --name NAME --log {option}`"
            )));
        }
    }
    if all.json && !all.actions.list_instances && !all.actions.status {
        return Err(Error::Usage("--json requires --list-instances or --status".into()));
    }
    let action = all.action();
    let layers = Layers::new(typed, variable, action.uses())?;
    Ok(Parsed::Act(action, Box::new(layers)))
}

/// `--help` prints all options, `-h` the usual ones.
fn asks_for_all(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--help")
}

/// `--listener help` lists the strategies.
fn asks_for_strategies(arguments: &[OsString]) -> bool {
    arguments.windows(2).any(|pair| pair[0] == "--listener" && pair[1] == "help")
        || arguments.iter().any(|argument| argument == "--listener=help")
}
