//! The command line of `lab`, and the errors' way out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::error::{Error, Result};
use super::{campaign, catalogue, guard, plan, report};

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
    /// Run an experiment and write its report
    Run(Run),
    /// Draw the report of a results folder again, from its data alone
    Report {
        /// A folder that `lab run` made
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// What `lab run` was asked for.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Name of an experiment (lab list), or a file that ends in .toml
    pub name: String,
    /// How often every cell is run, instead of what the experiment says
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: Option<u32>,
    /// Measured seconds of a run, instead of what the experiment says
    #[arg(long, value_name = "SECONDS")]
    pub duration_s: Option<f64>,
    /// Goes into the folder's name [default: the host's name]
    #[arg(long)]
    pub label: Option<String>,
    /// Where results go, as DIR/NAME/TIME-LABEL
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// Folder of the caffeine and loadgen to measure [default: that of lab]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// Measure programs that were built with debug assertions; the report says so
    #[arg(long)]
    pub allow_debug: bool,
    /// How long a server may take to get ready, and a load generator beyond its time
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = patience)]
    pub patience: f64,
    /// Record no counters over time and no hiccups (to see what the probes themselves cost)
    #[arg(long)]
    pub no_probes: bool,
}

/// The program `lab`: 0 done, 1 failed, 2 usage, 130 interrupted.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.action {
        Action::Guard => {
            guard::stand();
            Ok(())
        }
        Action::List => list(),
        Action::Run(run) => campaign::run(run),
        Action::Report { directory } => {
            report::write(directory).map(|(path, _)| println!("{}", path.display()))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// A time to wait, in seconds.
fn patience(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|e| e.to_string())?;
    let fits = (0.1..=3600.0).contains(&seconds);
    fits.then_some(seconds).ok_or_else(|| "must be within 0.1 and 3600".into())
}

fn list() -> Result<()> {
    let mut broken = None;
    for found in catalogue::all() {
        match found.spec() {
            Ok(spec) => println!("{:12} {:>7}  {}", found.name, minutes(plan::seconds(&spec)), spec.question),
            Err(error) => broken = Some(error),
        }
    }
    broken.map_or(Ok(()), |error: Error| Err(error))
}

/// Time for people: `58 s`, `12 min`.
pub fn minutes(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
