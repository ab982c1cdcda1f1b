//! The options of `lab run`, `lab check` and `lab verify`.

use std::path::PathBuf;

use clap::Args;

/// Common to `lab run` and `lab check`.
#[derive(Clone, Debug, Args)]
pub struct Scope {
    /// Runs of each cell and load, instead of the experiment's `rounds`
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: Option<u32>,
    /// Measured seconds of a run, instead of the experiment's `duration_s`
    #[arg(long, value_name = "SECONDS")]
    pub duration_s: Option<f64>,
    /// Run only this level of a factor, or this load (may be repeated); the baseline stays, and a listener
    /// strategy that the experiment lacks is added
    #[arg(long, value_name = "FACTOR=VALUE", value_parser = level)]
    pub only: Vec<(String, String)>,
    #[command(flatten)]
    pub means: Means,
}

/// Common to all commands that run an experiment, or check whether they could.
#[derive(Clone, Debug, Args)]
pub struct Means {
    /// Refuse an experiment or a suite that takes longer than this many minutes, repeated rounds aside
    #[arg(long, value_name = "MINUTES", value_parser = positive)]
    pub max_time: Option<f64>,
    /// Permit runs that are too short or too few for a judgement; the report says so
    #[arg(long)]
    pub allow_short: bool,
    /// Write results to DIR/NAME/TIME-LABEL
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// Measure the caffeine and loadgen in this folder [default: the folder of lab]
    #[arg(long, value_name = "DIR")]
    pub programs: Option<PathBuf>,
    /// Time for a server to become ready, and for a load generator to end after its load
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = within(0.1, 3600.0))]
    pub patience: f64,
}

#[derive(Clone, Debug, Args)]
pub struct Check {
    /// Name of an experiment (lab list), or a file that ends in .toml
    pub name: String,
    #[command(flatten)]
    pub scope: Scope,
}

#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Name of an experiment (lab list), or a file that ends in .toml
    #[arg(required_unless_present = "resume")]
    pub name: Option<String>,
    #[command(flatten)]
    pub scope: Scope,
    /// Put this into the name of the folder [default: the host name]
    #[arg(long)]
    pub label: Option<String>,
    /// Make the missing runs of a results folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rounds", "duration_s", "only", "label"])]
    pub resume: Option<PathBuf>,
    /// With --resume: continue on another machine or with other programs
    #[arg(long, requires = "resume")]
    pub force: bool,
    /// Measure programs built with debug assertions; the report says so
    #[arg(long)]
    pub allow_debug: bool,
    /// Record no counters over time and no hiccups (to measure the cost of the probes)
    #[arg(long)]
    pub no_probes: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// A results folder that `lab run` made or `lab keep` copied
    #[arg(value_name = "DIR")]
    pub reference: PathBuf,
    /// Test its conclusions on these results, and run nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "rounds", "label", "allow_debug", "max_time", "allow_short", "results", "programs", "patience"
    ])]
    pub against: Option<PathBuf>,
    /// How many times as large, or as small, a difference may be
    #[arg(long, value_name = "TIMES", default_value_t = 2.0, value_parser = within(1.0, 1000.0))]
    pub factor: f64,
    /// Rounds to make, instead of those of the results
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: Option<u32>,
    #[command(flatten)]
    pub means: Means,
    /// Put this into the name of the folder [default: the host name]
    #[arg(long)]
    pub label: Option<String>,
    /// Measure programs built with debug assertions; the report says so
    #[arg(long)]
    pub allow_debug: bool,
}

impl Verify {
    /// The run that it makes.
    pub fn run(&self) -> Run {
        let Self { rounds, means, label, allow_debug, .. } = self.clone();
        let scope = Scope { rounds, duration_s: None, only: Vec::new(), means };
        Run { label, allow_debug, ..Run::of(scope) }
    }
}

impl Run {
    pub fn of(scope: Scope) -> Self {
        Self {
            name: None,
            scope,
            label: None,
            resume: None,
            force: false,
            allow_debug: false,
            no_probes: false,
        }
    }
}

fn within(low: f64, high: f64) -> impl Fn(&str) -> std::result::Result<f64, String> + Clone {
    move |text: &str| {
        let number = text.parse().ok().filter(|number: &f64| (low..=high).contains(number));
        number.ok_or_else(|| format!("it must be within {low} and {high}"))
    }
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "it must be above 0".into())
}

fn level(text: &str) -> std::result::Result<(String, String), String> {
    let (factor, level) = text.split_once('=').ok_or("write it as FACTOR=VALUE, such as workers=4")?;
    Ok((factor.trim().to_owned(), level.trim().to_owned()))
}
