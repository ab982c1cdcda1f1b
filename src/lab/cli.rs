//! The command line of `lab`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::lab::compare::{self, Compare};
use crate::lab::error::{Error, Result};
use crate::lab::results::data::{Environment, RunData};
use crate::lab::results::store;
use crate::lab::run::options::{Check, Run, Verify};
use crate::lab::run::{self, guard, suite, verify};
use crate::lab::spec::catalogue;
use crate::lab::terminal::{minutes, print, print_line};
use crate::lab::{keep, report};
use crate::manual;
use crate::sys::stdio::remark;

/// Measures how strategies spread new connections over worker processes, and writes reports.
#[derive(Debug, Parser)]
#[command(name = "lab", version = VERSION)]
struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print the completions for a shell
    #[arg(long, value_name = "SHELL", exclusive = true)]
    completions: Option<Shell>,
    /// Print the manual page
    #[arg(long, exclusive = true)]
    man: bool,
}

/// The folder of all results, in the working directory.
const RESULTS: &str = "results";

/// Marks builds that should not be measured.
const VERSION: &str = if cfg!(debug_assertions) {
    concat!(env!("CARGO_PKG_VERSION"), " (debug)")
} else {
    env!("CARGO_PKG_VERSION")
};

#[derive(Debug, Subcommand)]
enum Action {
    /// Kill the processes that a lab left behind
    #[command(hide = true, name = guard::ACTION)]
    Guard,
    /// List the experiments and their durations
    List {
        /// List the published claims instead: the experiment, what it needs, and the verdict of kept results, as Markdown
        #[arg(long)]
        claims: bool,
    },
    /// Run an experiment or a suite, and write the report
    Run(Box<Run>),
    /// Check whether an experiment can be run here, without running it
    Check(Check),
    /// Redraw the report of a results folder from its data
    Report {
        /// A folder that `lab run` made; with --all, the folder of all results [default: results]
        #[arg(value_name = "DIR", required_unless_present = "all")]
        directory: Option<PathBuf>,
        /// Redraw every report, and the index
        #[arg(long)]
        all: bool,
    },
    /// Copy a results folder for the repository, without what `lab report` can redraw
    Keep {
        /// A folder that `lab run` made
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// The copy [default: the folder `reference` beside DIR]
        #[arg(value_name = "TARGET")]
        target: Option<PathBuf>,
    },
    /// Print the format of a results folder: JSON Schema of its JSON files, or what each CSV column holds
    Schema { file: SchemaOf },
    /// Compare two results folders, from two machines, builds or days
    Compare(Compare),
    /// Run the experiment of a results folder again, and test each of its conclusions
    Verify(Box<Verify>),
}

/// A file of a results folder whose format `lab schema` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaOf {
    /// A line of runs.jsonl
    Runs,
    /// machine.json
    Machine,
    /// The columns of all CSV files, as CSV
    Columns,
}

impl SchemaOf {
    fn print(self) -> Result<()> {
        let schema = match self {
            Self::Runs => schemars::schema_for!(RunData),
            Self::Machine => schemars::schema_for!(Environment),
            Self::Columns => return print(report::COLUMNS),
        };
        print_line(format_args!("{:#}", schema.as_value()))
    }
}

/// The program `lab`: 0 done, 1 failed or contradicted, 2 usage, 3 not judged, 130 interrupted.
pub fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => act(&cli),
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

const FIRST_STEPS: &str = "a command is needed. To begin:
  lab list         the experiments, and how long each takes
  lab check tail   whether one can run here, and what it takes
  lab run quick    a first report, in about a minute
All commands: lab --help";

fn act(cli: &Cli) -> Result<()> {
    if let Some(shell) = cli.completions {
        return print(&completions(shell, Cli::command()));
    }
    let action = match &cli.action {
        Some(action) => action,
        None if cli.man => return print(&man(Cli::command())?),
        None => return Err(Error::Usage(FIRST_STEPS.into())),
    };
    match action {
        Action::Guard => {
            guard::run();
            Ok(())
        }
        Action::List { claims: true } => print(&report::claim_list(Path::new(RESULTS))?),
        Action::List { .. } => list(),
        Action::Run(run) => run::run(run),
        Action::Check(check) => run::check(check),
        Action::Report { directory, all: true } => redraw_all(directory.as_deref()),
        Action::Report { directory, .. } => {
            print_line(redraw(directory.as_deref().unwrap_or(Path::new(".")))?.display())
        }
        Action::Keep { directory, target } => print_line(keep::keep(directory, target.as_deref())?.display()),
        Action::Schema { file } => file.print(),
        Action::Compare(wanted) => print(&compare::compare(wanted)?),
        Action::Verify(wanted) => verify::verify(wanted),
    }
}

fn redraw(directory: &Path) -> Result<PathBuf> {
    if suite::is_suite(directory) { suite::redraw(directory) } else { Ok(report::redraw(directory)?.0.page) }
}

/// Every results folder below `results`, in order. The last one leaves the index as it should be.
fn redraw_all(results: Option<&Path>) -> Result<()> {
    let results = results.unwrap_or(Path::new(RESULTS));
    for experiment in report::subfolders(results)? {
        for directory in report::subfolders(&experiment)? {
            if suite::is_suite(&directory) || store::is_results(&directory) {
                print_line(redraw(&directory)?.display())?;
            }
        }
    }
    print_line(report::index(results)?.display())
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

/// The completions for a shell, which offer the experiments by name.
fn completions(shell: Shell, command: Command) -> String {
    let names: Vec<&'static str> = catalogue::all().into_iter().map(|found| &*found.name.leak()).collect();
    let offers = |command: Command| {
        command.mut_arg("name", |name| name.value_parser(PossibleValuesParser::new(names.clone())))
    };
    let mut command = command.mut_subcommand("run", offers).mut_subcommand("check", offers);
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "lab", &mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if shell == Shell::Fish {
        // For fish, clap says nothing of what stands without an option.
        let names = names.join(" ");
        text += &format!("complete -c lab -n \"__fish_lab_using_subcommand run check\" -a \"{names}\"\n");
    }
    text
}

fn man(command: Command) -> Result<String> {
    manual::render(command, include_str!("../manual/lab.1"))
        .map_err(|error| Error::Failed(format!("cannot write the manual page: {error}")))
}
