//! Options of `loadgen merge`.

use std::path::PathBuf;

/// Which results become one, and where that goes.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = MEANING, max_term_width = 80)]
pub struct MergeArgs {
    /// Results that `loadgen --json` wrote
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Merge also what does not belong together; the differences become reasons of the verdict
    #[arg(long)]
    pub force: bool,

    /// Write the result as JSON to FILE, or to standard output, instead of the text, with -
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the response times to FILE in the .hgrm form of HdrHistogram's plotters (milliseconds)
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,

    /// No text: only errors and a verdict that is not OK
    #[arg(short, long)]
    pub quiet: bool,

    /// Print this help
    #[arg(short, long, action = clap::ArgAction::HelpShort)]
    pub help: Option<bool>,
}

const MEANING: &str = "\
Histograms are merged and percentiles read off the whole; percentiles
are never averaged. Rates are those of each source over its own duration,
added up. The verdict is the worst. Results belong together when they
have the same target, load, seed and times, are all the shards of one
plan, and began within a second of each other.";
