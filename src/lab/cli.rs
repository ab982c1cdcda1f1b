//! The command line of `lab`, and the errors' way out.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::error::{Error, Result};
use super::{campaign, catalogue, compare, guard, keep, report, suite};
use crate::sys::stdio::{self, remark};

/// Runs experiments on how new connections are spread over worker processes, and writes reports.
#[derive(Debug, Parser)]
#[command(name = "lab", version = VERSION, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

/// The version, and whether this is a build to measure with.
const VERSION: &str = if cfg!(debug_assertions) {
    concat!(env!("CARGO_PKG_VERSION"), " (debug)")
} else {
    env!("CARGO_PKG_VERSION")
};

#[derive(Debug, Subcommand)]
enum Action {
    /// End what a lab that is gone has left behind
    #[command(hide = true, name = guard::ACTION)]
    Guard,
    /// List the experiments and the time that they take
    List,
    /// Run an experiment, or a suite of them, and write the report
    Run(Box<Run>),
    /// Say whether an experiment can be run here, with the arithmetic, and run nothing
    Check(Check),
    /// Draw the report of a results folder again, from its data alone
    Report {
        /// A folder that `lab run` made
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Keep a small copy of a results folder, which its report can be drawn from, as `reference` beside it
    Keep {
        /// A folder that `lab run` made
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Where to, instead
        #[arg(value_name = "TARGET")]
        target: Option<PathBuf>,
    },
    /// Put two results folders side by side: what differs between two machines, builds or days
    Compare(Compare),
}

/// What is run, and where: the same for `lab run` and `lab check`.
#[derive(Clone, Debug, Args)]
pub struct Scope {
    /// How often every cell is run, instead of what the experiment says
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: Option<u32>,
    /// Measured seconds of a run, instead of what the experiment says
    #[arg(long, value_name = "SECONDS")]
    pub duration_s: Option<f64>,
    /// Only this level of a factor, or this load (may be repeated); the baseline stays
    #[arg(long, value_name = "FACTOR=VALUE", value_parser = level)]
    pub only: Vec<(String, String)>,
    /// Refuse an experiment that takes longer than this many minutes
    #[arg(long, value_name = "MINUTES", value_parser = positive)]
    pub max_time: Option<f64>,
    /// Where results go, as DIR/NAME/TIME-LABEL
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// Folder of the caffeine and loadgen to measure [default: that of lab]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// How long a server may take to get ready, and a load generator beyond its time
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = patience)]
    pub patience: f64,
}

/// What `lab check` was asked for.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Name of an experiment (lab list), or a file that ends in .toml
    pub name: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: Scope,
}

/// What `lab run` was asked for.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Name of an experiment (lab list), or a file that ends in .toml
    #[arg(required_unless_present = "resume")]
    pub name: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub scope: Scope,
    /// Goes into the folder's name [default: the host's name]
    #[arg(long)]
    pub label: Option<String>,
    /// Go on with a results folder where runs are missing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rounds", "duration_s", "only", "label"])]
    pub resume: Option<PathBuf>,
    /// With --resume: make the runs again that came to nothing
    #[arg(long, requires = "resume")]
    pub repeat_void: bool,
    /// With --resume: also on another machine or with other programs
    #[arg(long, requires = "resume")]
    pub force: bool,
    /// Measure programs that were built with debug assertions; the report says so
    #[arg(long)]
    pub allow_debug: bool,
    /// Record no counters over time and no hiccups (to see what the probes themselves cost)
    #[arg(long)]
    pub no_probes: bool,
}

/// What `lab compare` was asked for.
#[derive(Clone, Debug, Args)]
pub struct Compare {
    /// The results folder that the other is compared with
    #[arg(value_name = "DIR")]
    pub first: PathBuf,
    /// The other one
    #[arg(value_name = "DIR")]
    pub second: PathBuf,
    /// Compare them even if they come from different machines or were run with different settings
    #[arg(long)]
    pub force: bool,
    /// Write the comparison as a page with figures, too
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "it must be above 0".into())
}

fn level(text: &str) -> std::result::Result<(String, String), String> {
    let (factor, level) = text.split_once('=').ok_or("write it as FACTOR=VALUE, such as workers=4")?;
    Ok((factor.trim().to_owned(), level.trim().to_owned()))
}

/// The program `lab`: 0 done, 1 failed, 2 usage, 130 interrupted.
pub fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => act(&cli.action),
        Err(error) if error.use_stderr() => error.exit(),
        Err(help) => print(&help.render().to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            remark(format_args!("lab: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn act(action: &Action) -> Result<()> {
    match action {
        Action::Guard => {
            guard::stand();
            Ok(())
        }
        Action::List => list(),
        Action::Run(run) => campaign::run(run),
        Action::Check(check) => campaign::check(check),
        Action::Report { directory } => print_line(redraw(directory)?.display()),
        Action::Keep { directory, target } => print_line(keep::keep(directory, target.as_deref())?.display()),
        Action::Compare(wanted) => print(&compare::compare(wanted)?),
    }
}

/// Writes to standard output; a reader that has left is not an error.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> Result<()> {
    stdio::print(text).map_err(Error::Failed)
}

/// As [`print`], and ends the line.
///
/// # Errors
/// As [`print`].
pub fn print_line(line: impl Display) -> Result<()> {
    print(&format!("{line}\n"))
}

/// A time to wait, in seconds.
fn patience(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|e| e.to_string())?;
    let fits = (0.1..=3600.0).contains(&seconds);
    fits.then_some(seconds).ok_or_else(|| "must be within 0.1 and 3600".into())
}

fn redraw(directory: &Path) -> Result<PathBuf> {
    if suite::is_suite(directory) { suite::redraw(directory) } else { Ok(report::write(directory)?.0) }
}

fn list() -> Result<()> {
    let mut broken = None;
    for found in catalogue::all() {
        let experiment = found.experiment();
        match experiment.and_then(|experiment| Ok((experiment.seconds()?, experiment))) {
            Ok((seconds, experiment)) => {
                let question = experiment.question();
                print_line(format_args!("{:12} {:>7}  {question}", found.name, minutes(seconds)))?;
            }
            Err(error) => broken = Some(error),
        }
    }
    broken.map_or(Ok(()), |error: Error| Err(error))
}

/// Time for people: `58 s`, `12 min`.
pub fn minutes(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
