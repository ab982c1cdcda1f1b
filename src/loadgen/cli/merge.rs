//! Options of `loadgen merge`.

use std::path::PathBuf;

#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true, after_help = MEANING, max_term_width = 80)]
pub struct MergeArgs {
    /// Results written by `loadgen --json`
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Merge results that do not belong together too; the verdict lists the differences
    #[arg(long)]
    pub force: bool,

    /// Write the result as JSON to FILE; with - to standard output, in place of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the response times to FILE in the .hgrm format of HdrHistogram's plotters (milliseconds)
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,

    /// Print no text: only errors and a verdict that is not OK
    #[arg(short, long)]
    pub quiet: bool,

    /// Print this help
    #[arg(short, long, action = clap::ArgAction::HelpShort)]
    pub help: Option<bool>,
}

const MEANING: &str = "\
Histograms are merged, and percentiles are taken from the merged
histogram; percentiles are never averaged. The rate is the sum of the
rates of all results, each over its own duration. The verdict is the
worst one. Results belong together if they have the same target, load,
seed and times, are all the shards of one plan, and started within one
second.";
