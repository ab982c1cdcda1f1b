//! The options of `lab run` and `lab check`, as typed.

use std::path::PathBuf;

use clap::Args;

/// What is run, and where: the same for `lab run` and `lab check`.
#[derive(Clone, Debug, Args)]
pub struct Scope {
    /// How often every cell is run, instead of what the experiment says
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: Option<u32>,
    /// Measured seconds of a run, instead of what the experiment says
    #[arg(long, value_name = "SECONDS")]
    pub duration_s: Option<f64>,
    /// Only this level of a factor, or this load (may be repeated); the baseline stays, and a listener strategy that the
    /// experiment does not have is added
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
    pub scope: Scope,
}

/// What `lab run` was asked for.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Name of an experiment (lab list), or a file that ends in .toml
    #[arg(required_unless_present = "resume")]
    pub name: Option<String>,
    #[command(flatten)]
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

fn positive(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite());
    number.ok_or_else(|| "it must be above 0".into())
}

fn level(text: &str) -> std::result::Result<(String, String), String> {
    let (factor, level) = text.split_once('=').ok_or("write it as FACTOR=VALUE, such as workers=4")?;
    Ok((factor.trim().to_owned(), level.trim().to_owned()))
}

/// A time to wait, in seconds.
fn patience(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse::<f64>().map_err(|e| e.to_string())?;
    let fits = (0.1..=3600.0).contains(&seconds);
    fits.then_some(seconds).ok_or_else(|| "must be within 0.1 and 3600".into())
}
